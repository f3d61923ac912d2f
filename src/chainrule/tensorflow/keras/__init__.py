"""`tf.keras`: layers, models and their training."""

from __future__ import annotations

from typing import Any

from chainrule.tensorflow.errors import missing
from chainrule.tensorflow.keras import activations as activations
from chainrule.tensorflow.keras import callbacks as callbacks
from chainrule.tensorflow.keras import initializers as initializers
from chainrule.tensorflow.keras import layers as layers
from chainrule.tensorflow.keras import losses as losses
from chainrule.tensorflow.keras import metrics as metrics
from chainrule.tensorflow.keras import models as models
from chainrule.tensorflow.keras import optimizers as optimizers
from chainrule.tensorflow.keras import utils as utils
from chainrule.tensorflow.keras.layers import Input as Input
from chainrule.tensorflow.keras.models import Model as Model
from chainrule.tensorflow.keras.models import Sequential as Sequential


class backend:  # noqa: N801
    """`tf.keras.backend`: what is left of it here."""

    clear_session = staticmethod(layers.base.clear_session)
    epsilon = staticmethod(lambda: losses.EPSILON)
    floatx = staticmethod(lambda: "float32")


def __getattr__(name: str) -> Any:
    missing("tf.keras", name, globals())
