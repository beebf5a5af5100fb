"""Loaded by every Python that is started with this folder on its PYTHONPATH and `FAULTS_DIR` set: Dust's processes in
the fault tests. What production code runs through is hooked from here, so that it need not know of being tested.

It is only found; the work is in `fault_points`, which needs the packages of Dust.
"""

import os

if os.environ.get("FAULTS_DIR"):
    import fault_points

    fault_points.install()
