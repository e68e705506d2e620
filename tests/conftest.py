"""Every test run gets settings and a data directory of its own, before Django is loaded.

The settings module is named here and not in ``pyproject.toml``, because pytest-django would
then load it before this file could say where the data directory is.
"""

import atexit
import os
import shutil
import tempfile

if "GATEHOUSE_DATA_DIR" not in os.environ:
    os.environ["GATEHOUSE_DATA_DIR"] = tempfile.mkdtemp(prefix="gatehouse-tests-")
    atexit.register(shutil.rmtree, os.environ["GATEHOUSE_DATA_DIR"], ignore_errors=True)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")

import django

django.setup()
