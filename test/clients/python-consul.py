"""Debian's python3-consul against a running agent: every endpoint that we serve so far.

Usage: python-consul.py HTTP_PORT [acl]

With `acl` the agent's ACLs are on, under default deny, and nobody has a token yet; else they are off.

Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end. The client is an
old one; where it sends GET for what is PUT today, the agent answers 405 as Consul does, and the
call is made again by the client's own PUT.
"""
import http.server
import json
import os
import sys
import threading
import time
import traceback

import consul
from consul import base
from consul.base import CB

PORT = int(sys.argv[1])
# What there is behind the port, as test/clients/daemon.ts says it: servers, and agents of either kind.
SERVERS, MEMBERS = {'server': (1, 1), 'cluster': (3, 3), 'agent': (3, 4)}[
    os.environ.get('GATEHOUSE_TEST_TARGET', 'server')]
c = consul.Consul(host='127.0.0.1', port=PORT)


def is_(found, wanted, what):
    if found == wanted:
        print('ok - ' + what)
    else:
        print('not ok - %s: %r is not %r' % (what, found, wanted))


def ok(found, what):
    is_(bool(found), True, what)


def raises(kind, call, what):
    try:
        found = call()
    except kind:
        print('ok - ' + what)
    except Exception as error:
        print('not ok - %s: raised %r' % (what, error))
    else:
        print('not ok - %s: gave %r' % (what, found))


def until(probe, what, bound=15):
    """Asks until the answer is true; bounded."""
    end = time.monotonic() + bound
    while time.monotonic() < end:
        if probe():
            print('ok - ' + what)
            return
        time.sleep(0.1)
    print('not ok - %s: not within %d s' % (what, bound))


def put(path, **params):
    return c.http.put(CB.bool(), path, params=params)


def changed(ask, change):
    """Blocks on `ask(index)` in a thread, makes the change, and gives the answer."""
    index, _ = ask(None)
    box = []
    waiter = threading.Thread(target=lambda: box.append(ask(index)))
    waiter.start()
    time.sleep(0.2)
    change()
    waiter.join(15)
    if not box:
        return None, None, False
    return box[0][0], box[0][1], int(box[0][0]) > int(index)


class Healthy(http.server.BaseHTTPRequestHandler):
    code = 200

    def do_GET(self):
        self.send_response(Healthy.code)
        self.end_headers()
        self.wfile.write(b'fine')

    def log_message(self, *_):
        pass


def target():
    server = http.server.HTTPServer(('127.0.0.1', 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def status():
    ok(':' in c.status.leader(), 'status.leader is an address')
    is_(len(c.status.peers()), SERVERS, 'status.peers')
    ok(c.status.leader() in c.status.peers(), 'it names the leader')


def agent():
    me = c.agent.self()
    node = me['Config']['NodeName']
    ok(node, 'agent.self has the node name')
    is_(me['Member']['Name'], node, 'agent.self has the member')
    members = c.agent.members()
    is_(len(members), MEMBERS, 'agent.members')
    is_([m['Status'] for m in members if m['Name'] == node], [1], 'this node is alive')
    ok('consul' not in c.agent.services(), 'agent.services has no service that nobody registered')

    register = c.agent.service.register
    ok(register('py', service_id='py1', address='127.0.0.1', port=4321, tags=['a', 'b'],
                check=consul.Check.ttl('1h')), 'service.register with a TTL check')
    mine = c.agent.services()['py1']
    is_((mine['Service'], mine['Port'], mine['Tags']), ('py', 4321, ['a', 'b']),
        'agent.services shows it')
    check = c.agent.checks()['service:py1']
    is_((check['Status'], check['ServiceName'], check['Type']), ('critical', 'py', 'ttl'),
        'agent.checks: a TTL check begins critical')

    is_(c.agent.check.ttl_pass('service:py1'), False, 'pass by GET is 405, as on Consul')
    for verb, state in (('pass', 'passing'), ('warn', 'warning'), ('fail', 'critical')):
        ok(put('/v1/agent/check/%s/service:py1' % verb, note='note ' + verb), 'check ' + verb)
        found = c.agent.checks()['service:py1']
        is_((found['Status'], found['Output']), (state, 'note ' + verb), 'it is ' + state)

    url = 'http://127.0.0.1:%d/' % target()
    ok(register('pyweb', port=80, enable_tag_override=True,
                check=consul.Check.http(url, '1s', timeout='2s', deregister='1h')),
       'service.register with an HTTP check')
    state = (lambda: c.agent.checks()['service:pyweb'])
    until(lambda: state()['Status'] == 'passing', 'the HTTP check passes')
    is_(state()['Output'], 'HTTP GET %s: 200 OK Output: fine' % url, 'its output')
    Healthy.code = 500
    until(lambda: state()['Status'] == 'critical', 'it fails when the target does')
    Healthy.code = 429
    until(lambda: state()['Status'] == 'warning', '429 is a warning')
    Healthy.code = 200
    until(lambda: state()['Status'] == 'passing', 'and it passes again')

    check = c.agent.check.register
    ok(check('node ttl', check_id='node-ttl', notes='n', check=consul.Check.ttl('1h')),
       'check.register on the node')
    is_(c.agent.checks()['node-ttl']['Notes'], 'n', 'it has its notes')
    ok(check('second', check_id='py1-2', service_id='py1', check=consul.Check.http(url, '1s')),
       'check.register on a service')
    is_(c.agent.checks()['py1-2']['ServiceID'], 'py1', 'it belongs to the service')
    raises(consul.base.BadRequest, lambda: check('old', check={'script': 'x', 'interval': '1s'}),
           'script is refused, as since Consul 1.0')
    ok(put('/v1/agent/check/deregister/node-ttl'), 'check.deregister')
    ok('node-ttl' not in c.agent.checks(), 'it is gone')
    ok(c.agent.service.maintenance('py1', 'true', 'why'), 'service.maintenance')
    found = c.agent.checks()['_service_maintenance:py1']
    is_((found['Status'], found['Notes']), ('critical', 'why'), 'it is a critical check')
    ok(c.agent.service.maintenance('py1', 'false'), 'service.maintenance off')
    ok(c.agent.maintenance('true', 'whole node'), 'agent.maintenance')
    is_(c.health.service('py', passing=True)[1], [], 'nothing passes on this node then')
    ok(c.agent.maintenance('false'), 'agent.maintenance off')
    ok('_node_maintenance' not in c.agent.checks(), 'its check is gone')
    ok(put('/v1/agent/service/deregister/pyweb'), 'service.deregister')
    ok('pyweb' not in c.agent.services(), 'it is gone')
    ok('service:pyweb' not in c.agent.checks(), 'with its check')
    is_(put('/v1/agent/service/deregister/nobody'), False, 'an unknown service is not found')


def catalog():
    is_(c.catalog.datacenters(), ['dc1'], 'catalog.datacenters')
    service = {'Service': 'db', 'ID': 'db1', 'Tags': ['primary'], 'Port': 5432}
    check = {'Node': 'ext', 'CheckID': 'service:db1', 'Name': 'db health', 'Status': 'passing',
             'ServiceID': 'db1'}
    ok(c.catalog.register('ext', '10.0.0.9', service=service, check=check), 'catalog.register')
    ok(c.catalog.register('ext', '10.0.0.9', service=dict(service, ID='db2', Tags=['replica'])),
       'a second instance')
    index, nodes = c.catalog.nodes()
    ok(int(index) > 0, 'catalog.nodes has an index')
    is_([n['Address'] for n in nodes if n['Node'] == 'ext'], ['10.0.0.9'], 'it lists the node')
    is_(sorted(c.catalog.services()[1]['db']), ['primary', 'replica'], 'catalog.services')
    instances = c.catalog.service('db')[1]
    is_([i['ServiceID'] for i in instances], ['db1', 'db2'], 'catalog.service')
    is_((instances[0]['Node'], instances[0]['Address'], instances[0]['ServicePort']),
        ('ext', '10.0.0.9', 5432), 'an instance has its node')
    is_([i['ServiceID'] for i in c.catalog.service('db', tag='replica')[1]], ['db2'], 'by tag')
    is_(c.catalog.service('nobody')[1], [], 'an unknown service is an empty list')
    is_(sorted(c.catalog.node('ext')[1]['Services']), ['db1', 'db2'], 'catalog.node')
    is_(c.catalog.node('nobody')[1], None, 'an unknown node is null')
    is_(c.catalog.nodes(consistency='stale')[0], c.catalog.nodes(consistency='consistent')[0],
        'stale and consistent reads agree')
    index, services, later = changed(
        lambda index: c.catalog.services(index=index, wait='10s'),
        lambda: c.catalog.register('ext', '10.0.0.9', service={'Service': 'new'}))
    ok(later and 'new' in services, 'catalog.services wakes on a new service')
    ok(c.catalog.deregister('ext', service_id='new'), 'catalog.deregister of a service')
    ok('new' not in c.catalog.services()[1], 'it is gone')


def health():
    passing = c.health.service('db', passing=True)[1]
    is_(sorted(e['Service']['ID'] for e in passing), ['db1', 'db2'], 'health.service passing')
    is_([e['Service']['ID'] for e in c.health.service('db', tag='primary')[1]], ['db1'], 'by tag')
    is_([k['CheckID'] for k in c.health.checks('db')[1]], ['service:db1'], 'health.checks')
    is_([k['CheckID'] for k in c.health.node('ext')[1]], ['service:db1'], 'health.node')
    ids = (lambda state: [k['CheckID'] for k in c.health.state(state)[1]])
    ok('serfHealth' in ids('passing'), 'health.state: our own node passes')
    ok('service:db1' in ids('any'), 'health.state any')
    ok('service:db1' not in ids('critical'), 'health.state critical')
    critical = {'Node': 'ext', 'CheckID': 'service:db1', 'Name': 'db health',
                'Status': 'critical', 'ServiceID': 'db1'}
    index, entries, later = changed(
        lambda index: c.health.service('db', index=index, wait='10s', passing=True),
        lambda: c.catalog.register('ext', '10.0.0.9', check=critical))
    ok(later, 'health.service wakes when a check fails')
    is_([e['Service']['ID'] for e in entries or []], ['db2'], 'and no longer lists the instance')
    ok('service:db1' in ids('critical'), 'health.state critical lists it')
    ok(c.catalog.deregister('ext', check_id='service:db1'), 'catalog.deregister of a check')
    is_(c.health.node('ext')[1], [], 'it is gone')
    ok(c.catalog.deregister('ext'), 'catalog.deregister of a node')
    is_(c.health.service('db')[1], [], 'its services went with it')


def kv():
    index, missing = c.kv.get('py/none')
    ok(missing is None and int(index) > 0, 'a missing key has an index')
    is_(c.kv.put('py/a', 'one', flags=2 ** 64 - 1), True, 'kv.put')
    entry = c.kv.get('py/a')[1]
    is_((entry['Value'], entry['Flags'], entry['LockIndex']), (b'one', 2 ** 64 - 1, 0),
        'kv.get with its flags, all 64 bits')
    is_(entry['CreateIndex'], entry['ModifyIndex'], 'a new key has equal indexes')
    c.kv.put('py/b/1', b'\x00\xff\x80')
    c.kv.put('py/b/2', None)
    c.kv.put('py/\u00e4 x', '\u00e4'.encode())
    is_(c.kv.get('py/b/1')[1]['Value'], b'\x00\xff\x80', 'bytes')
    is_(c.kv.get('py/b/2')[1]['Value'], None, 'an empty value is null')
    is_(c.kv.get('py/\u00e4 x')[1]['Value'], '\u00e4'.encode(), 'a key with a space and an umlaut')
    is_([e['Key'] for e in c.kv.get('py/b/', recurse=True)[1]], ['py/b/1', 'py/b/2'], 'recurse')
    is_(c.kv.get('py/zz', recurse=True)[1], None, 'recurse under nothing')
    is_(c.kv.get('py/', keys=True)[1], ['py/a', 'py/b/1', 'py/b/2', 'py/\u00e4 x'], 'keys')
    is_(c.kv.get('py/', keys=True, separator='/')[1], ['py/a', 'py/b/', 'py/\u00e4 x'],
        'keys with a separator')
    for consistency in ('default', 'consistent', 'stale'):
        is_(c.kv.get('py/a', consistency=consistency)[1]['Value'], b'one', consistency)

    is_(c.kv.put('py/a', 'two', cas=0), False, 'cas 0 on an existing key')
    is_(c.kv.put('py/new', 'x', cas=0), True, 'cas 0 creates')
    is_(c.kv.put('py/a', 'two', cas=entry['ModifyIndex'] + 1), False, 'cas with a wrong index')
    is_(c.kv.put('py/a', 'two', cas=entry['ModifyIndex']), True, 'cas with the right one')
    is_(c.kv.delete('py/a', cas=entry['ModifyIndex']), False, 'delete by an old index')
    before = c.kv.get('py/a')[0]
    c.kv.put('py/a', 'two')
    is_(c.kv.get('py/a')[0], before, 'an equal value changes no index')

    index, found, later = changed(
        lambda index: c.kv.get('py/none', index=index, wait='10s'),
        lambda: c.kv.put('py/none', 'now'))
    ok(later and found and found['Value'] == b'now', 'a waiting get is woken by the creation')
    index, found, later = changed(
        lambda index: c.kv.get('py/b/', recurse=True, index=index, wait='10s'),
        lambda: c.kv.delete('py/b/1'))
    is_((later, [e['Key'] for e in found or []]), (True, ['py/b/2']), 'and one by a deletion')
    index = c.kv.get('py/a')[0]
    is_(c.kv.get('py/a', index=index, wait='10ms')[0], index, 'a wait that ends has the same index')

    is_(c.kv.delete('py/none'), True, 'kv.delete')
    is_(c.kv.get('py/none')[1], None, 'it is gone')
    is_(c.kv.delete('py/none'), True, 'deleting nothing is true')
    is_(c.kv.delete('py/', recurse=True), True, 'kv.delete recurse')
    is_(c.kv.get('py/', keys=True)[1], None, 'all are gone')
    raises(consul.base.BadRequest, lambda: c.kv.put('x', 'y', cas=1, acquire='z'),
           'conflicting conditions')
    raises(consul.ConsulException, lambda: c.kv.put('x', 'y', dc='elsewhere'),
           'an unknown datacenter')


def session():
    node = c.agent.self()['Config']['NodeName']
    plain = c.session.create()
    is_(len(plain), 36, 'session.create')
    found = c.session.info(plain)[1]
    is_((found['ID'], found['Node'], found['Behavior'], found['LockDelay'], found['TTL']),
        (plain, node, 'release', 15 * 10 ** 9, ''), 'session.info shows the defaults')
    is_(found['NodeChecks'], ['serfHealth'], 'it hangs on the health of its node')
    full = c.session.create(name='full', node=node, checks=[], lock_delay=0, behavior='delete',
                            ttl=86400)
    found = c.session.info(full)[1]
    is_((found['Name'], found['Behavior'], found['LockDelay'], found['TTL']),
        ('full', 'delete', 0, '86400s'), 'session.create with everything set')
    ids = sorted([plain, full])
    is_(sorted(s['ID'] for s in c.session.list()[1]), ids, 'session.list')
    is_(sorted(s['ID'] for s in c.session.node(node)[1]), ids, 'session.node')
    is_(c.session.renew(full)['ID'], full, 'session.renew')
    raises(consul.NotFound, lambda: c.session.renew('11111111-2222-3333-4444-555555555555'),
           'an unknown session cannot be renewed')

    is_(c.kv.put('py/lock', 'a', acquire=plain), True, 'acquire')
    entry = c.kv.get('py/lock')[1]
    is_((entry['Session'], entry['LockIndex']), (plain, 1), 'the key shows its holder')
    is_(c.kv.put('py/lock', 'b', acquire=full), False, 'a second holder is refused')
    is_(c.kv.put('py/lock', 'c', acquire=plain), True, 'the holder may acquire again')
    is_(c.kv.get('py/lock')[1]['LockIndex'], 1, 'which does not count')
    is_(c.kv.put('py/lock', 'd', release=full), False, 'only the holder releases')
    is_(c.kv.put('py/lock', 'd', release=plain), True, 'release')
    entry = c.kv.get('py/lock')[1]
    is_((entry.get('Session'), entry['LockIndex'], entry['Value']), (None, 1, b'd'),
        'the key keeps its lock index')
    is_(c.kv.put('py/lock', 'e', acquire=full), True, 'then another acquires')
    is_(c.kv.get('py/lock')[1]['LockIndex'], 2, 'and the lock index counts on')
    raises(consul.ConsulException,
           lambda: c.kv.put('py/lock', 'f', acquire='11111111-2222-3333-4444-555555555555'),
           'an unknown session cannot acquire')
    index, found, later = changed(
        lambda index: c.kv.get('py/lock', index=index, wait='10s'),
        lambda: c.session.destroy(full))
    is_((later, found), (True, None), 'its end deletes the key, and the waiter is told')

    is_(c.kv.put('py/delayed', 'a', acquire=plain), True, 'acquire with a lock delay')
    ok(c.session.destroy(plain), 'session.destroy')
    entry = c.kv.get('py/delayed')[1]
    is_((entry.get('Session'), entry['Value']), (None, b'a'), 'its end releases the key')
    other = c.session.create(lock_delay=0)
    is_(c.kv.put('py/delayed', 'b', acquire=other), False, 'the lock delay holds others off')
    ok(c.session.destroy(other), 'session.destroy')
    ok(c.session.destroy(other), 'destroying nothing is fine')
    is_(c.session.info(plain)[1], None, 'an ended session is not found')
    is_(c.session.list()[1], [], 'no session is left')
    c.kv.delete('py/', recurse=True)

    c.agent.service.register('tied', check=consul.Check.ttl('1h'))
    put('/v1/agent/check/pass/service:tied')
    tied = c.session.create(checks=['serfHealth', 'service:tied'], lock_delay=0)
    c.kv.put('py/tied', 'a', acquire=tied)
    put('/v1/agent/check/fail/service:tied')
    until(lambda: c.session.info(tied)[1] is None, 'a failing check ends the session')
    is_(c.kv.get('py/tied')[1].get('Session'), None, 'and its lock')
    raises(consul.ConsulException, lambda: c.session.create(checks=['service:tied']),
           'a session cannot begin on a failing check')


def event():
    index, none = c.event.list()
    is_((int(index), none), (1, []), 'event.list without events')
    fired = c.event.fire('py', body='now')
    is_((fired['Name'], fired['Version'], fired['LTime']), ('py', 1, 0), 'event.fire')
    index, events = c.event.list(name='py')
    is_([(e['ID'], e['Payload']) for e in events], [(fired['ID'], b'now')], 'event.list')
    halves = fired['ID'].replace('-', '')
    is_(int(index), int(halves[:16], 16) ^ int(halves[16:], 16), 'its index is made of the id')
    woken, events, _ = changed(
        lambda index: c.event.list(name='py', index=index, wait='10s'),
        lambda: c.event.fire('py'))
    is_([e['Payload'] for e in events or []], [b'now', None], 'event.list wakes when one is fired')
    ok(woken != index, 'with another index, higher or lower')
    c.event.fire('py', node='^elsewhere$')
    is_(len(c.event.list(name='py')[1]), 2, 'an event for other nodes is not listed')
    raises(consul.ConsulException, lambda: c.event.fire('py', tag='x'), 'a tag of no service')


def query():
    # This client makes a template of every query.
    for name, status in (('p1', 'passing'), ('p2', 'warning'), ('p3', 'critical')):
        c.catalog.register(name, '10.0.0.8', service={'service': 'asked', 'id': name},
                           check={'name': 'c', 'status': status, 'service_id': name})
    made = c.query.create('asked', name='py-', onlypassing=True, ttl='10s', tags=['!x'])['ID']
    found = c.query.get(made)[0]
    is_((found['Name'], found['Service']['OnlyPassing'], found['DNS']['TTL']),
        ('py-', True, '10s'), 'query.create and query.get')
    is_([q['ID'] for q in c.query.list()], [made], 'query.list')

    def asked(*args, **more):
        return sorted(n['Service']['ID'] for n in c.query.execute(*args, **more)['Nodes'])

    is_(asked('py-any'), ['p1'], 'query.execute')
    c.query.update(made, 'asked', name='py-', onlypassing=False)
    is_(asked('py-any'), ['p1', 'p2'], 'query.update')
    is_(len(asked('py-any', limit=1)), 1, 'limit')
    is_(c.query.execute('py-any', near='p2')['Nodes'][0]['Service']['ID'], 'p2', 'near')
    is_(c.query.explain('py-any')['Query']['ID'], made, 'query.explain')
    ok(c.query.delete(made), 'query.delete')
    is_(c.query.list(), [], 'it is gone')
    raises(consul.ConsulException, lambda: c.query.delete(made), 'deleting nothing is refused')
    for name in ('p1', 'p2', 'p3'):
        c.catalog.deregister(name)


def without_acl():
    raises(consul.ACLDisabled, lambda: put('/v1/acl/bootstrap'), 'without ACLs: bootstrap')
    raises(consul.ACLDisabled, lambda: c.http.get(CB.json(), '/v1/acl/tokens'), 'and tokens')


def denied(call, what):
    raises(consul.ACLPermissionDenied, call, what)


class Acl:
    """The ACL system of today by this client's own requests: its `acl` is that of before 1.4."""

    def __init__(self, token):
        self.token = token

    def get(self, path, allow_404=False):
        return c.http.get(CB.json(allow_404=allow_404), '/v1/acl/' + path,
                          params={'token': self.token})

    def put(self, path, **body):
        return c.http.put(CB.json(allow_404=False), '/v1/acl/' + path,
                          params={'token': self.token}, data=json.dumps(body))

    def delete(self, path):
        return c.http.delete(CB.bool(), '/v1/acl/' + path, params={'token': self.token})

    def token_with(self, name, rules, **more):
        policy = self.put('policy', Name=name, Rules=rules)
        return self.put('token', Description=name, Policies=[{'ID': policy['ID']}], **more)


NOBODY = '7b3d1f0e-3a44-4a3c-9a55-0123456789ab'


def acl():
    ok(':' in c.status.leader(), 'anybody may ask for the leader')
    denied(c.agent.self, 'the agent without a token')
    denied(lambda: c.kv.get('a'), 'a key without a token')
    is_(c.kv.get('', recurse=True)[1], None, 'a list without a token is empty')
    is_(c.catalog.services()[1], {}, 'so is the catalog')
    denied(lambda: c.kv.put('a', 'x'), 'a write without a token')
    for what, call in (
            ('kv.get', lambda: c.kv.get('a', token=NOBODY)),
            ('kv.get of many', lambda: c.kv.get('', recurse=True, token=NOBODY)),
            ('catalog.services', lambda: c.catalog.services(token=NOBODY)),
            ('health.service', lambda: c.health.service('web', token=NOBODY)),
            ('query.list', lambda: c.query.list(token=NOBODY)),
            ('event.fire', lambda: c.event.fire('x', token=NOBODY))):
        denied(call, 'an unknown token: ' + what)

    root = c.http.put(CB.json(), '/v1/acl/bootstrap')
    ok(root['SecretID'] == root['ID'], 'bootstrap')
    denied(lambda: put('/v1/acl/bootstrap'), 'a second time is refused')
    manage = Acl(root['SecretID'])
    is_(manage.get('token/self')['AccessorID'], root['AccessorID'], 'the token reads itself')
    denied(lambda: Acl('').get('tokens'), 'tokens without a token')
    denied(lambda: Acl(NOBODY).get('tokens'), 'tokens with an unknown token')

    made = manage.token_with('reader', 'key_prefix "a/" { policy = "read" }')
    is_(manage.get('token/' + made['AccessorID']), made, 'token read')
    changed = manage.put('token/' + made['AccessorID'], **dict(made, Description='new'))
    is_(changed['Description'], 'new', 'token update')
    is_(len(manage.get('tokens')), 3, 'token list')
    copy = manage.put('token/%s/clone' % made['AccessorID'], Description='copy')
    ok(copy['SecretID'] != made['SecretID'], 'token clone')
    ok(manage.delete('token/' + copy['AccessorID']), 'token delete')
    is_(manage.delete('token/' + copy['AccessorID']), False, 'and again')
    raises(consul.NotFound, lambda: manage.get('token/' + copy['AccessorID']), 'it is gone')
    raises(consul.ConsulException, lambda: manage.put('token', Policies=[{'Name': 'none'}]),
           'a token of an unknown policy is refused')
    raises(base.BadRequest, lambda: manage.put('policy', ID=NOBODY, Name='x'),
           "a policy's id is not chosen")
    role = manage.put('role', Name='r', Policies=[{'Name': 'reader'}])
    is_(manage.get('role/name/r')['ID'], role['ID'], 'role read by name')
    ok(manage.delete('role/' + role['ID']), 'role delete')
    raises(KeyError, lambda: c.acl.list(token=manage.token), 'what Consul removed is not there')
    tokens(manage, made)
    revoked(manage)


def tokens(manage, reader):
    """Every call that takes a token, with one that may, one that may read, and none."""
    root, reads = manage.token, reader['SecretID']
    ok(c.kv.put('a/1', 'one', token=root), 'kv.put')
    ok(c.kv.put('b/1', 'two', token=root), 'and another')
    is_(c.kv.get('a/1', token=reads)[1]['Value'], b'one', 'kv.get')
    is_([e['Key'] for e in c.kv.get('', recurse=True, token=reads)[1]], ['a/1'],
        'kv.get of many leaves out what it may not read')
    is_(c.kv.get('', keys=True, token=reads)[1], ['a/1'], 'so do keys')
    denied(lambda: c.kv.get('b/1', token=reads), 'kv.get of another')
    denied(lambda: c.kv.put('a/1', 'x', token=reads), 'kv.put')
    denied(lambda: c.kv.delete('a/1', token=reads), 'kv.delete')
    denied(lambda: c.kv.delete('a/', recurse=True, token=reads), 'kv.delete of many')
    register = dict(service={'service': 'web', 'id': 'web1'})
    # This client puts a token into the body as well, which Consul has refused since 1.7.
    raises(base.BadRequest,
           lambda: c.catalog.register('ext', '10.0.0.9', token=root, **register),
           'catalog.register with a token in its body')
    body = json.dumps({'Node': 'ext', 'Address': '10.0.0.9', **register})

    def catalog_register(token):
        return c.http.put(CB.bool(), '/v1/catalog/register', params={'token': token}, data=body)

    ok(catalog_register(root), 'catalog/register')
    denied(lambda: catalog_register(reads), 'catalog/register of a reader of keys')
    for what, ask, many in (
            ('catalog.nodes', c.catalog.nodes, True),
            ('catalog.services', c.catalog.services, True),
            ('catalog.service', lambda token: c.catalog.service('web', token=token), True),
            ('catalog.node', lambda token: c.catalog.node('ext', token=token), True),
            ('health.service', lambda token: c.health.service('web', token=token), True),
            ('health.checks', lambda token: c.health.checks('web', token=token), False),
            ('health.node', lambda token: c.health.node('ext', token=token), False),
            ('health.state', lambda token: c.health.state('any', token=token), False)):
        ok(ask(token=root)[1] or not many, what)
        ok(not ask(token=reads)[1], what + ' leaves out what it may not read')
    raises(base.BadRequest, lambda: c.catalog.deregister('ext', token=root),
           'catalog.deregister with a token in its body')
    denied(lambda: c.catalog.deregister('ext'), 'catalog.deregister without a token')
    ok(c.event.fire('e', token=root), 'event.fire')
    denied(lambda: c.event.fire('e', token=reads), 'event.fire of a reader of keys')
    # The token of this call is the one that the query is executed with, not who creates it.
    denied(lambda: c.query.create('web', name='q', token=root), 'query.create')
    query = json.dumps({'Name': 'q', 'Service': {'Service': 'web'}})
    query_id = c.http.post(CB.json(is_id=True), '/v1/query', params={'token': root}, data=query)
    is_(len(c.query.list(token=root)), 1, 'query.list')
    is_(c.query.list(token=reads), [], 'query.list leaves out what it may not read')
    denied(lambda: c.query.get(query_id, token=reads), 'query.get')
    denied(lambda: c.query.delete(query_id, token=reads), 'query.delete')
    ok(c.query.delete(query_id, token=root), 'query.delete with rights')
    ok(c.agent.check.register('mine', ttl='1h', token=root), 'agent.check.register')
    denied(lambda: c.agent.check.register('other', ttl='1h', token=reads),
           'agent.check.register of a reader of keys')
    ok(c.agent.service.register('py', token=root), 'agent.service.register')
    denied(lambda: c.agent.service.register('other', token=reads),
           'agent.service.register of a reader of keys')
    whole = consul.Consul(host='127.0.0.1', port=PORT, token=root)
    limited = consul.Consul(host='127.0.0.1', port=PORT, token=reads)
    is_(whole.kv.get('b/1')[1]['Value'], b'two', 'the token of the client')
    denied(lambda: limited.kv.get('b/1'), 'it is the one that counts')
    is_(limited.kv.get('b/1', token=root)[1]['Value'], b'two', 'that of the call goes before it')


def revoked(manage):
    """A token that is deleted is refused at once, also in a read that waits."""
    token = manage.token_with('waits', 'key_prefix "" { policy = "read" }')
    index, _ = c.kv.get('a/1', token=token['SecretID'])
    box = []

    def wait():
        try:
            box.append(c.kv.get('a/1', index=index, wait='60s', token=token['SecretID']))
        except Exception as error:
            box.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.3)
    ok(manage.delete('token/' + token['AccessorID']), 'the token of a reader is deleted')
    denied(lambda: c.kv.get('a/1', token=token['SecretID']), 'its next read is refused')
    waiter.join(15)
    ok(box and isinstance(box[0], consul.ACLPermissionDenied), 'so is the one that waits')


parts = (status, agent, catalog, health, kv, session, event, query, without_acl)
for part in (acl,) if sys.argv[2:] == ['acl'] else parts:
    try:
        part()
    except Exception:
        print('not ok - %s: %s' % (part.__name__, traceback.format_exc().replace('\n', ' | ')))
print('done')
