"""Update rules as pure functions, and the Optimizer that applies one to parameters.

>>> from chainrule import optim
>>> list(optim.RULES)
['sgd', 'adam', 'adamw', 'rmsprop', 'adagrad']
"""

from chainrule.optim.clipping import clip_norm
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.rules import RULES, Rule, adagrad, adam, adamw, rmsprop, rule, sgd
from chainrule.optim.schedules import SCHEDULES, Schedule, schedule

__all__ = [
    "RULES", "SCHEDULES", "Optimizer", "Rule", "Schedule", "adagrad", "adam", "adamw", "clip_norm", "rmsprop", "rule",
    "schedule", "sgd",
]  # fmt: skip
