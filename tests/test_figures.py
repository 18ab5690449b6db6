"""Figures: what is drawn is what the model and the images say, and the files repeat themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import yaml
from making import autoencoder, images_of
from matplotlib.figure import Figure
from pydantic import ValidationError
from sklearn.decomposition import PCA
from torch import Generator, Tensor

from aecore import figures
from aecore.autoencoder import Autoencoder
from aecore.build import build
from aecore.figures import (
    Curves,
    Interpolations,
    Latent,
    NotApplicable,
    Picture,
    Reconstructions,
    Samples,
    View,
    draw,
)
from aecore.figures.curves import by_term
from aecore.figures.grid import displayable, image_grid, strip, tile
from aecore.figures.interpolations import blend
from aecore.figures.latent import principal
from aecore.figures.view import spread

CONF = sorted((Path(__file__).parents[1] / "conf" / "figures").glob("*.yaml"))
