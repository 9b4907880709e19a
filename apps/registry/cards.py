"""What a model card asks for, after Hugging Face's annotated model card and Google's model card toolkit.

https://huggingface.co/docs/hub/model-card-annotated · https://arxiv.org/abs/1810.03993
"""

from dataclasses import dataclass

SECTION_LIMIT = 20_000


@dataclass(frozen=True)
class Section:
    """`expected` ones count towards completeness; `short` ones are a line, the others Markdown."""

    key: str
    title: str
    hint: str
    expected: bool = True
    short: bool = False


SECTIONS = (
    Section("intended_use", "Intended use", "Who uses it for which decision, and how the answer is used."),
    Section("out_of_scope", "Out of scope", "Uses it was not made for, and where it would do harm."),
    Section("training_data", "Training data", "What it learned from: source, period, size, how labels were made."),
    Section("evaluation_data", "Evaluation data", "What it was tested on, and why this stands for what it will see."),
    Section("metrics", "Metrics", "Which figures were chosen and why, overall and by group; their uncertainty."),
    Section("ethical_considerations", "Ethical considerations", "Sensitive attributes, groups treated unlike, harms."),
    Section("limitations", "Limitations", "Where it is known to be wrong, and what to do there."),
    Section("license", "License", "Of the model and of the data, for example Apache-2.0, internal use.", short=True),
    Section("contact", "Contact", "A person, team or channel that answers questions.", short=True),
    Section("training_procedure", "Training procedure", "Preparation, architecture, hyperparameters.", expected=False),
    Section("factors", "Factors", "Groups, instruments and surroundings that change how well it does.", expected=False),
    Section("how_to_use", "How to use it", "A few lines of code or the call that consumers make.", expected=False),
    Section("environmental_impact", "Environmental impact", "Energy and hardware it took.", expected=False),
    Section("references", "References", "Papers, tickets, reviews, earlier models.", expected=False),
)
BY_KEY = {section.key: section for section in SECTIONS}


@dataclass(frozen=True)
class Completeness:
    """Of the expected sections."""

    filled: int
    expected: int
    missing: tuple[Section, ...]

    @property
    def percent(self) -> int:
        return self.filled * 100 // self.expected

    @property
    def is_complete(self) -> bool:
        return not self.missing


def completeness_of(sections: dict[str, str] | None) -> Completeness:
    given = sections or {}
    expected = [section for section in SECTIONS if section.expected]
    missing = tuple(section for section in expected if not str(given.get(section.key, "")).strip())
    return Completeness(len(expected) - len(missing), len(expected), missing)
