# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""A real Ganeti cluster in Linux namespaces, for tests.

L{Cluster<lab.cluster.Cluster>} raises one of as many nodes as wanted, with
Ganeti as Debian packages it, real QEMU and a real Linux guest. It needs root,
leaves nothing behind but a cache of installed systems and new clusters under
L{CACHE<lab.base.CACHE>}, and never outlives the process that raised it, not
even when that process is killed.

"""
