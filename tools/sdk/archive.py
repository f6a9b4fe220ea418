# SPDX-License-Identifier: MIT
"""archive.py STRIP AR OUT OBJECT... - an archive of objects without debug information.

Why: what is installed names no path of the machine that built it, and debug information is full of them; so are thin
archives, which Meson makes of libraries that it does not install itself.
"""
import os
import subprocess
import sys
import tempfile

strip, ar, out, *objects = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    members = []
    for number, path in enumerate(objects):
        # The name that Meson gives an object is its source's path from the top.
        member = os.path.join(folder, f"{number:03}-{os.path.basename(path).split('_')[-1]}")
        subprocess.run([strip, "-g", "-o", member, path], check=True)
        members.append(member)
    if os.path.exists(out):
        os.remove(out)
    subprocess.run([ar, "rcsD", out, *members], check=True)
