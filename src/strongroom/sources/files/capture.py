"""Turning an item of the walk into an entry and its bytes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from strongroom.clock import Clock
from strongroom.model.entry import CHANGED_WHILE_READ, SPARSE, Entry, EntryKind
from strongroom.model.fs import Fs, Stat
from strongroom.model.source import Item, Loaded, Problem
from strongroom.sources.files.owners import Owners
from strongroom.sources.files.tokens import settled, token_of
from strongroom.sources.files.walk import VANISHED, Found
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories, Directory
