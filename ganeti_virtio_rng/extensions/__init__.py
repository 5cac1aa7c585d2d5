# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""One module for each of Ganeti's that is extended, named after it; and
wrapping, which all use.

"""
