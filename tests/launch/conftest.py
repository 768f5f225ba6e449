"""What the tests of the trainings share."""

import numpy as np
import pytest

from saxsae.io.structures.voxelized_corpus import VoxelizedCorpus, write_voxelized
from saxsae.shapes import voxels


@pytest.fixture(scope="module")
def corpus(lobed_maps, tmp_path_factory):
    """The path of 24 bodies of two ellipsoids, every fourth for validation."""
    path = tmp_path_factory.mktemp("corpus") / "lobes.npz"
    count = len(lobed_maps)
    names = np.array([f"lobes{i}" for i in range(count)])
    write_voxelized(path, VoxelizedCorpus(voxels.pack(lobed_maps), np.full(count, 30, np.float32), names, names, names,
                                 (np.arange(count) % 4 == 0).astype(np.uint8)))
    return path
