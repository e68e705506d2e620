"""Forms of the sign-in pages."""

from collections.abc import Callable
from typing import Any

from django import forms


class CodeForm(forms.Form):
    """A code of an authenticator, or a recovery code. ``proof`` is what the right one gave."""

    code = forms.CharField(
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )

    def __init__(self, prove: Callable[[str], Any], *args: Any, **kwargs: Any) -> None:
        """``prove`` uses a code up and gives what it proves, or None."""
        super().__init__(*args, **kwargs)
        self._prove = prove
        self.proof: Any = None

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        self.proof = self._prove(code)
        if self.proof is None:
            raise forms.ValidationError(
                "This is not a code that is valid now. Each is accepted once."
            )
        return code
