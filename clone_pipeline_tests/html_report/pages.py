"""What every page has to be, whatever it is about; and texts of whoever would have it otherwise."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import strategies as st

from clone_pipeline_tests.canaries import IN_TEXTS, KEYS, canary

TAGS = (
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer"),
    *("p", "h1", "h2", "h3", "b", "i", "span", "strong", "small", "div", "ul", "li", "dl", "dt"),
    *("dd", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
    *("svg", "line", "rect", "text"),
)


LOADS = {"src", "href", "srcset", "data", "action", "background", "xlink:href"}


class Page(HTMLParser):
    """What a browser makes of it: the tags, their attributes, and the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.styles: list[str] = []
        self.texts: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles += [str(value) for name, value in attrs if name == "style"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def assert_harmless(content: str) -> None:
    """It runs nothing, loads nothing and shows no secret."""
    content.encode()
    page = Page(content)
    assert "default-src 'none'; style-src 'unsafe-inline'" in content
    assert page.tags <= set(TAGS)
    assert not page.attributes & LOADS
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(style.startswith("width: ") and style.endswith("%") for style in page.styles)
    style = content[content.index("<style>") : content.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "CANARY" not in content
    assert "\u202e" not in content
    assert str(7_654_321 * 1_234_567) not in content


_PARTS = st.sampled_from(
    [
        *(
            "<script>alert(1)</script>",
            "</style><script>",
            "<img src=x onerror=a>",
            "'\"><svg onload=",
        ),
        *(
            "{{ 7654321 * 1234567 }}",
            "{% include 'x' %}",
            "&lt;b&gt;",
            "]]>",
            "<!--",
            "\u202e",
            "\x1b[31m",
            "\r\n",
        ),
        *(
            "javascript:alert(1)",
            "https://elsewhere.example/x.js",
            "url(https://elsewhere.example)",
        ),
        *(text for n, form in enumerate(IN_TEXTS) for text in form(canary(n)).values()),
    ]
)
# Hypothesis draws from the literals of the code under test too, and "CANARY" is one of these.
_WORDS = st.text(max_size=20).filter(lambda text: "CANARY" not in text)
TEXTS = st.lists(st.one_of(_PARTS, _WORDS), min_size=1, max_size=4).map(" ".join)
KEYED = st.tuples(st.sampled_from(KEYS), st.just(canary(7)))
