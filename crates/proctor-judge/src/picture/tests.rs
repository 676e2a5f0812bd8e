//! What must hold of the picture.
