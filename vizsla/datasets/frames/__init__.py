"""Training frames: labelled rows with every field in place, named ones and the customer's own."""

from vizsla.datasets.frames.base import FrameOptions, FrameSource
from vizsla.datasets.frames.fetching import FRAMES, fetch_frame
from vizsla.datasets.frames.importing import FrameImport, FrameImportSummary, import_frame
from vizsla.datasets.frames.noise import with_noise
from vizsla.datasets.frames.reading import Frame, find_frame, read_frame, resolve_frame
from vizsla.datasets.frames.schema import FrameSchema, load_frame_schema
from vizsla.datasets.frames.storage import FrameDraft, write_frame
from vizsla.datasets.frames.synthetic import SyntheticCtrOptions

__all__ = [
    "FRAMES",
    "Frame",
    "FrameDraft",
    "FrameImport",
    "FrameImportSummary",
    "FrameOptions",
    "FrameSchema",
    "FrameSource",
    "SyntheticCtrOptions",
    "fetch_frame",
    "find_frame",
    "import_frame",
    "load_frame_schema",
    "read_frame",
    "resolve_frame",
    "with_noise",
    "write_frame",
]
