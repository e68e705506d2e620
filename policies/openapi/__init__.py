"""OpenAPI documents -> validators of requests and answers. Pure: no Django, no kinds, no clock.

``document`` reads a text; ``rewriting`` makes its schemas self-contained and ``schemas`` compiles
them; ``styles``, ``shapes`` and ``parameters`` read what stands in paths, queries, headers and
cookies; ``contents`` reads bodies; ``operations`` and ``answers`` put them together; ``compiled``
is the whole of one document.
"""
