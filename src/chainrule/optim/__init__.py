"""Update rules as pure functions, and the Optimizer that applies one to parameters.

>>> from chainrule import optim
>>> list(optim.RULES)
['sgd', 'adam', 'adamw', 'rmsprop', 'adagrad']
"""

from chainrule.optim.optimizer import Optimizer
from chainrule.optim.rules import RULES, Rule, adagrad, adam, adamw, rmsprop, rule, sgd

__all__ = ["RULES", "Optimizer", "Rule", "adagrad", "adam", "adamw", "rmsprop", "rule", "sgd"]
