//! Sans-IO FROST: distributed key generation and signing, generic over the ciphersuite.
