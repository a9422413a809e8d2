"""Between the pure tracker and the world: packs and jobs go out, manifests and values come in."""
