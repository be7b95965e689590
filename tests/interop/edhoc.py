# SPDX-License-Identifier: MIT
"""nacre's EDHOC against lakers (PyPI lakers-python), as Initiator and as Responder: method 3, cipher suite 2, credentials by
kid and by value, three and four messages.

    edhoc.py BUILD_DIR
"""
import itertools
import subprocess
import sys

try:
    import lakers
except ImportError:
    print('SKIPPED: lakers-python is not installed')
    print('0 passed, 0 failed, 1 skipped')
    sys.exit(77)

PROGRAM = sys.argv[1] + '/tests/edhoc_peer'
passed = failed = 0


def ccs(name, kid, x):
    """{2: name, 8: {1: {1: 2, 2: kid, -1: 1, -2: x}}}"""
    return (b'\xa2\x02' + bytes([0x60 + len(name)]) + name.encode() + b'\x08\xa1\x01\xa4\x01\x02\x02\x41' + bytes([kid]) +
            b'\x20\x01\x21\x58\x20' + x)


class Peer:
    """nacre's end, a process."""
    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, message):
        self.process.stdin.write(message.hex() + '\n')
        self.process.stdin.flush()

    def receive(self):
        return bytes.fromhex(self.process.stdout.readline().strip())

    def keys(self):
        words = self.process.stdout.readline().split()
        assert words[:1] == ['keys'], words
        return [bytes.fromhex(word) for word in words[1:3]]

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def as_initiator(theirs, ours, transfer, four, peer):
    """nacre is the Initiator, lakers the Responder."""
    responder = lakers.EdhocResponder(theirs['key'], theirs['credential'])
    c_i, ead = responder.process_message_1(peer.receive())
    assert bytes(c_i) == b'\x2d' and not ead
    peer.send(responder.prepare_message_2(transfer, b'\x27'))
    id_cred, ead = responder.parse_message_3(peer.receive())
    responder.verify_message_3(ours['credential'])
    if four:
        peer.send(responder.prepare_message_4())
    else:
        responder.completed_without_message_4()
    return responder


def as_responder(theirs, ours, transfer, four, peer):
    """nacre is the Responder, lakers the Initiator."""
    initiator = lakers.EdhocInitiator()
    peer.send(initiator.prepare_message_1(b'\x01'))
    c_r, id_cred, ead = initiator.parse_message_2(peer.receive())
    assert bytes(c_r) == b'\x18'
    initiator.verify_message_2(theirs['key'], theirs['credential'], ours['credential'])
    message_3, _ = initiator.prepare_message_3(transfer)
    peer.send(message_3)
    if four:
        initiator.process_message_4(peer.receive())
    else:
        initiator.completed_without_message_4()
    return initiator


def party(name, kid):
    key, x = lakers.p256_generate_key_pair()
    value = ccs(name, kid, bytes(x))
    return {'key': bytes(key), 'ccs': value, 'credential': lakers.Credential(value)}


for play, style, four in itertools.product((as_initiator, as_responder), ('kid', 'value'), (False, True)):
    name = f'{play.__name__}, {style}, {"four" if four else "three"} messages'
    ours, theirs = party('nacre', 0x0b), party('lakers', 0x2a)
    transfer = lakers.CredentialTransfer.ByValue if style == 'value' else lakers.CredentialTransfer.ByReference
    role = 'initiator' if play is as_initiator else 'responder'
    peer = Peer(role, style, '4' if four else '3', ours['ccs'].hex(), ours['key'].hex(), theirs['ccs'].hex())
    try:
        session = play(theirs, ours, transfer, four, peer)
        secret, salt = peer.keys()
        assert secret == bytes(session.edhoc_exporter(0, [], 16)), 'Master Secret'
        assert salt == bytes(session.edhoc_exporter(1, [], 8)), 'Master Salt'
        passed += 1
        print('ok -', name)
    except Exception as error:
        failed += 1
        print(f'not ok - {name}: {type(error).__name__} {error}')
    finally:
        peer.end()
print(f'{passed} passed, {failed} failed, 0 skipped')
sys.exit(1 if failed else 0)
