"""CustomResourceDefinitions: what they must be, the kinds that they make, and the objects of those kinds."""
