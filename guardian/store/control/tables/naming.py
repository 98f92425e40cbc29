"""What all of control's tables are part of."""

from sqlalchemy import MetaData

from guardian.store.columns import NAMING

metadata = MetaData(naming_convention=NAMING)
