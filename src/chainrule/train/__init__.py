"""Training: the loop, the gradient check before it, metrics, model files and the loss curve.

>>> from chainrule import data, train
>>> training = train.TableTraining.prepare(*data.open_table("iris"), train.Settings(epochs=5))
>>> print(training.summary())
iris · 150 rows · 4 features · 3 classes · network 4-8-3 · cross-entropy · Adam
"""

from chainrule.train.callbacks import Best, EarlyStopping
from chainrule.train.checkpoint import Snapshot, checkpoint_settings, load_checkpoint, save_checkpoint
from chainrule.train.files import OutputFiles, output_files
from chainrule.train.gradients import GradientCheck, check_parameters
from chainrule.train.importance import permutation_importance
from chainrule.train.linear import ridge, softmax_regression
from chainrule.train.looping import Loop, ModuleLoop, loop
from chainrule.train.metrics import (
    accuracy,
    area_under_roc,
    balanced_accuracy,
    confusion_table,
    log_loss,
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)
from chainrule.train.model import Prediction, TableModel
from chainrule.train.model_file import load_model, save_model
from chainrule.train.network import Vectors, table_network
from chainrule.train.parts import Parts, without_test
from chainrule.train.picture import loss_curve, page
from chainrule.train.rates import search_rate
from chainrule.train.settings import Settings, config_text, hidden_sizes, read_config, settings_of
from chainrule.train.tabular import TableTraining
from chainrule.train.tasks import Classification, Evaluation, Regression, averaged, softmax, task_of
from chainrule.train.tensorboard import TensorBoard
from chainrule.train.training import Epoch, Training, evaluate, fit

__all__ = [
    "Best",
    "Classification",
    "EarlyStopping",
    "Epoch",
    "Evaluation",
    "GradientCheck",
    "Loop",
    "ModuleLoop",
    "OutputFiles",
    "Parts",
    "Prediction",
    "Regression",
    "Settings",
    "Snapshot",
    "TableModel",
    "TableTraining",
    "TensorBoard",
    "Training",
    "Vectors",
    "accuracy",
    "area_under_roc",
    "averaged",
    "balanced_accuracy",
    "check_parameters",
    "checkpoint_settings",
    "config_text",
    "confusion_table",
    "evaluate",
    "fit",
    "hidden_sizes",
    "load_checkpoint",
    "load_model",
    "log_loss",
    "loop",
    "loss_curve",
    "mean_absolute_error",
    "output_files",
    "page",
    "permutation_importance",
    "r_squared",
    "read_config",
    "ridge",
    "root_mean_squared_error",
    "save_checkpoint",
    "save_model",
    "search_rate",
    "settings_of",
    "softmax",
    "softmax_regression",
    "table_network",
    "task_of",
    "without_test",
]
