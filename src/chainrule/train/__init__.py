"""Training: the loop, the gradient check before it, metrics, model files and the loss curve.

>>> from chainrule import data, train
>>> run = train.TableTraining.prepare(*data.open_table("iris"), train.Settings(hidden=(8,), epochs=5))
>>> print(run.summary())
iris · 150 rows · 4 features · 3 classes · network 4-8-3 · cross-entropy · Adam
"""

from chainrule.train.callbacks import Best, EarlyStopping
from chainrule.train.checkpoint import load_checkpoint, save_checkpoint
from chainrule.train.files import OutputFiles, output_files
from chainrule.train.gradients import GradientCheck, check_parameters
from chainrule.train.loop import Epoch, Training, evaluate, fit
from chainrule.train.metrics import (
    accuracy,
    confusion_table,
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)
from chainrule.train.model import Prediction, TableModel
from chainrule.train.model_file import load_model, save_model
from chainrule.train.picture import loss_curve
from chainrule.train.settings import Settings, hidden_sizes
from chainrule.train.tabular import TableTraining
from chainrule.train.tasks import Classification, Evaluation, Regression

__all__ = [
    "Best",
    "Classification",
    "EarlyStopping",
    "Epoch",
    "Evaluation",
    "GradientCheck",
    "OutputFiles",
    "Prediction",
    "Regression",
    "Settings",
    "TableModel",
    "TableTraining",
    "Training",
    "accuracy",
    "check_parameters",
    "confusion_table",
    "evaluate",
    "fit",
    "hidden_sizes",
    "load_checkpoint",
    "load_model",
    "loss_curve",
    "mean_absolute_error",
    "output_files",
    "r_squared",
    "root_mean_squared_error",
    "save_checkpoint",
    "save_model",
]
