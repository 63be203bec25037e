//! The door (bus): open, transaction, commit, snapshot, watch; errors joined. The only room that names every layer.
