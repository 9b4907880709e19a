"""What the demo workspace trains: a few experiments for each team, each a sweep over hyper-parameters."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One run: an estimator's name, its hyper-parameters, and whether the fitted model is kept."""

    estimator: str
    parameters: dict[str, Any]
    keep_model: bool = False

    @property
    def key(self) -> str:
        """Names the run within its experiment, the same at every start."""
        return f"{self.estimator} {json.dumps(self.parameters, sort_keys=True)}"

    @property
    def title(self) -> str:
        shown = ", ".join(f"{key.split('_')[0]} {value}" for key, value in self.parameters.items())
        return f"{self.estimator} ({shown})"


@dataclass(frozen=True)
class Study:
    """One experiment of a team: a data set, what is asked of it, and the runs made for it."""

    team: str
    title: str
    person: str
    data: str
    note: str
    trials: list[Trial] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.team}/{self.title}"

    @property
    def model_name(self) -> str:
        """What a model of it is registered as."""
        return f"{self.team}.{self.title}"

    @property
    def is_regression(self) -> bool:
        return self.data == "diabetes"


STUDIES = [
    Study(
        "vision",
        "digit-reader",
        "dana",
        "digits",
        "Which digit is on an 8 by 8 scan. Wanted: 0.98 accuracy with a model that answers in under a millisecond.",
        [
            Trial("perceptron", {"hidden_layer_sizes": (16,), "learning_rate_init": 0.005}),
            Trial("perceptron", {"hidden_layer_sizes": (64,), "learning_rate_init": 0.005}, keep_model=True),
            Trial("perceptron", {"hidden_layer_sizes": (64,), "learning_rate_init": 0.0005}),
            Trial("perceptron", {"hidden_layer_sizes": (64, 32), "learning_rate_init": 0.002}),
            Trial("svc", {"C": 0.1, "gamma": "scale"}),
            Trial("svc", {"C": 10, "gamma": "scale"}),
            Trial("nearest-neighbours", {"n_neighbors": 3}),
        ],
    ),
    Study(
        "vision",
        "flower-baseline",
        "dana",
        "iris",
        "The smallest data set there is, to try the tools with.",
        [
            Trial("logistic-regression", {"C": 0.001}),
            Trial("logistic-regression", {"C": 1.0}),
            Trial("nearest-neighbours", {"n_neighbors": 40}),
        ],
    ),
    Study(
        "churn",
        "leaver-screening",
        "dana",
        "breast-cancer",
        "Two classes, thirty measurements. A missed case costs more than a false alarm: watch recall.",
        [
            Trial("logistic-regression", {"C": 0.001}),
            Trial("logistic-regression", {"C": 0.1}),
            Trial("logistic-regression", {"C": 10}),
            Trial("random-forest", {"n_estimators": 20, "max_depth": 2}),
            Trial("random-forest", {"n_estimators": 60, "max_depth": 6}, keep_model=True),
            Trial("boosting", {"n_estimators": 40, "learning_rate": 0.05, "max_depth": 2}),
            Trial("boosting", {"n_estimators": 40, "learning_rate": 0.3, "max_depth": 2}),
        ],
    ),
    Study(
        "churn",
        "segments",
        "mira",
        "wine",
        "Three groups from thirteen measurements.",
        [
            Trial("nearest-neighbours", {"n_neighbors": 25}),
            Trial("logistic-regression", {"C": 0.001}),
            Trial("random-forest", {"n_estimators": 30, "max_depth": 3}),
        ],
    ),
    Study(
        "pricing",
        "progression",
        "mallory",
        "diabetes",
        "How far something has gone after a year, from ten measurements. Compared by root mean squared error.",
        [
            Trial("ridge", {"alpha": 0.01}),
            Trial("ridge", {"alpha": 1.0}),
            Trial("lasso", {"alpha": 0.1}),
            Trial("forest-regressor", {"n_estimators": 50, "max_depth": 4}),
            Trial("boosting-regressor", {"n_estimators": 60, "learning_rate": 0.05, "max_depth": 2}, keep_model=True),
            Trial("boosting-regressor", {"n_estimators": 60, "learning_rate": 0.5, "max_depth": 4}),
        ],
    ),
]
