"""READMEs become HTML without becoming a way in."""

from apps.catalog.readme import readme_html

README = """# Notebook

Two lines
of **one** paragraph with `code`.

| What | Kept |
|---|---|
| `files` | yes |

## Use
- first
  goes on
- second

```
<b> & | # not a heading
```
"""


def test_readme_is_rendered() -> None:
    html = readme_html(README)
    assert "<p>Two lines of <strong>one</strong> paragraph with <code>code</code>.</p>" in html
    assert '<th scope="col">What</th>' in html
    assert "<td><code>files</code></td><td>yes</td>" in html
    assert "<li>first goes on</li><li>second</li>" in html
    assert "<h2>Use</h2>" in html
    assert "&lt;b&gt; &amp; | # not a heading" in html
    assert "<h1" not in html
    assert "Notebook" not in html


def test_markup_stays_text() -> None:
    html = readme_html(
        "# <b>\n\n<script>x()</script> [a](javascript:x) `<img src=x onerror=x()>` **<i>**\n\n|<u>|\n- <s>"
    )
    for tag in ("<script", "<img", "<i>", "<u>", "<s>", "<a"):
        assert tag not in html


def test_nothing_and_odd_things_are_no_error() -> None:
    for text in ("", "\n\n", "|", "|---|", "```", "#", "# ", "- ", "**", "\0", "| a\n|b|c|"):
        readme_html(text)
