"""coordinator: a ketamine clinic's session outcomes and dose changes, told to the patient's other clinicians.

The packages, from the rim to the middle (a line may import only from lines below it):

    api | console | worker | cli | sandbox
    bootstrap
    channels | store | security | settings
    flow
    mapping | letters | planning
    domain | observe
"""

__version__ = "0.1.0"
