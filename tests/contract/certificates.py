"""Self-signed mail certificates with their keys, as files."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def certified(folder, name, alternatives, *more, key, begins, ends):
    """Write NAME.pem for these names, with further extensions, and NAME.key; return both paths."""
    subject, serial = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), x509.random_serial_number()
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), serial, begins, ends)
    for one in (x509.SubjectAlternativeName(alternatives), *more):
        builder = builder.add_extension(one, critical=False)
    certificate, private = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private
