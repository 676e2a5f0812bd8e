//! What a real town's state is, read where it appears first: the Dolt server, reference files, sessions.
