"""The live page: walks that one can watch and steer, on 127.0.0.1 (extra ``explorer``)."""
