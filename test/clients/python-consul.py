"""Debian's python3-consul against a running agent: every endpoint that we serve so far.

Usage: python-consul.py HTTP_PORT

Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end. The client is an
old one; where it sends GET for what is PUT today, the agent answers 405 as Consul does, and the
call is made again by the client's own PUT.
"""
import http.server
import sys
import threading
import time
import traceback

import consul
from consul.base import CB

PORT = int(sys.argv[1])
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
    is_(c.status.peers(), [c.status.leader()], 'status.peers names the leader')


def agent():
    me = c.agent.self()
    node = me['Config']['NodeName']
    ok(node, 'agent.self has the node name')
    is_(me['Member']['Name'], node, 'agent.self has the member')
    members = c.agent.members()
    is_([m['Name'] for m in members], [node], 'agent.members lists this node')
    is_(members[0]['Status'], 1, 'the member is alive')
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


for part in (status, agent, catalog, health, kv, session, event, query):
    try:
        part()
    except Exception:
        print('not ok - %s: %s' % (part.__name__, traceback.format_exc().replace('\n', ' | ')))
print('done')
