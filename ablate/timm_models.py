"""`import ablate.timm_models`: register the models of ablate in timm (see `ablate.zoo.timm_models`)."""

from ablate.zoo.timm_models import *  # noqa: F403
from ablate.zoo.timm_models import MODELS

__all__ = list(MODELS)
