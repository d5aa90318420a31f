"""Debian's python3-consul over TLS, to a server that wants a certificate of its clients.

Usage: python-consul-tls.py HTTPS_PORT CA CERT KEY

Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end.
"""
import http.client
import os
import ssl
import sys

import consul
import requests

PORT, CA, CERT, KEY = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def is_(found, wanted, what):
    if found == wanted:
        print('ok - ' + what)
    else:
        print('not ok - %s: %r is not %r' % (what, found, wanted))


def raises(kinds, call, what):
    try:
        found = call()
    except kinds:
        print('ok - ' + what)
    except Exception as error:
        print('not ok - %s: raised %r' % (what, error))
    else:
        print('not ok - %s: gave %r' % (what, found))


def client(**more):
    settings = {'host': '127.0.0.1', 'port': PORT, 'scheme': 'https', 'verify': CA,
                'cert': (CERT, KEY)}
    settings.update(more)
    return consul.Consul(**settings)


c = client()
is_(c.kv.put('python/tls', 'x'), True, 'a write')
index, entry = c.kv.get('python/tls')
is_(entry['Value'], b'x', 'and its value')
is_(c.kv.get('python/tls', index=index, wait='1s')[1]['Value'], b'x', 'a blocking query')
faults = (requests.exceptions.SSLError, requests.exceptions.ConnectionError)
raises(faults, lambda: client(cert=None).status.leader(), 'a client that shows nothing')
raises(faults, lambda: client(verify=True).status.leader(), 'an authority that nobody knows')
raises(faults, lambda: client(scheme='http').status.leader(), 'a client that speaks in clear')
os.environ['CONSUL_HTTP_SSL'] = 'true'
os.environ['CONSUL_HTTP_ADDR'] = '127.0.0.1:%d' % PORT
from_environment = consul.Consul(verify=CA, cert=(CERT, KEY))
is_(from_environment.kv.get('python/tls')[1]['Value'], b'x', 'the scheme of the environment')

context = ssl.create_default_context(cafile=CA)
context.load_cert_chain(CERT, KEY)
connection = http.client.HTTPSConnection('localhost', PORT, context=context)
connection.request('GET', '/v1/kv/python/tls?raw')
answer = connection.getresponse()
is_((answer.status, answer.read()), (200, b'x'), "http.client of Python's own")
is_(connection.sock.version(), 'TLSv1.3', 'speaks the newest version')
wrong = ssl.create_default_context(cafile=CA)
wrong.load_cert_chain(CERT, KEY)
raises(ssl.SSLCertVerificationError,
       lambda: wrong.wrap_socket(__import__('socket').create_connection(('127.0.0.1', PORT)),
                                 server_hostname='other.example'),
       'and looks at the name')
print('done')
