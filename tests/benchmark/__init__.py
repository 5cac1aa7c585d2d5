# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""What the package buys and what it costs, measured.

Each module measures one thing and makes lines of the table of it.

"""
