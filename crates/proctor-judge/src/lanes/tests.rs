//! What must hold of lanes built from evidence written by hand.
