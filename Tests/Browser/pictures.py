"""The pictures of the documentation, taken of the console as it is.

Where CLOUDWRIGHT_UPDATE_PICTURES is set, those that the tests have taken replace the ones in docs/pictures.
"""

import os
import shutil

# Of docs/pictures: which picture of the tests each is.
documented = {
    "console-overview": "view-overview", "console-notifications": "notifications", "console-service": "service",
    "console-failover": "failover", "console-scaling": "scaling-replay", "console-bill": "bill-verified",
    "console-overview-chinese": "overview-chinese", "console-notifications-chinese": "notifications-chinese",
    "console-service-chinese": "service-chinese", "console-failover-chinese": "failover-chinese",
}


def update(folder):
    if not os.environ.get("CLOUDWRIGHT_UPDATE_PICTURES"):
        return
    pictures = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/pictures")
    for name, taken in documented.items():
        shutil.copyfile(f"{folder}/{taken}.png", f"{pictures}/{name}.png")
        print(f"  docs/pictures/{name}.png is as the console is now")
