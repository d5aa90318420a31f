"""Debian's python3-hvac against a running server that nobody has initialised.

Usage: python-hvac.py ADDRESS [ROOT_TOKEN]

With a token the server is one that is initialised already, and what operators do is left out.

Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end. hvac 0.11 is an old
client: it gives the answer's JSON where there is one, and the response itself where there is not.
"""
import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import traceback

import hvac
from hvac import exceptions

ADDRESS = sys.argv[1]
section = ''


def say(verdict, what, why=''):
    text = '%s - %s: %s' % (verdict, section, what)
    print((text + ': ' + why if why else text).replace('\n', ' '), flush=True)


def is_(found, wanted, what):
    if found == wanted:
        say('ok', what)
    else:
        say('not ok', what, '%r is not %r' % (found, wanted))


def ok(found, what):
    is_(bool(found), True, what)


def raises(kind, call, what, text=''):
    try:
        found = call()
    except kind as error:
        if text in str(error):
            say('ok', what)
        else:
            say('not ok', what, '%r does not say %r' % (str(error), text))
    except Exception as error:
        say('not ok', what, 'raised %r' % (error,))
    else:
        say('not ok', what, 'gave %r' % (found,))


def status(response, wanted, what):
    is_(getattr(response, 'status_code', response), wanted, what)


def client(token=None):
    return hvac.Client(url=ADDRESS, token=token)


root = sys.argv[2] if len(sys.argv) > 2 else ''
c = client(root or None)
keys = []


def initialise():
    global c, keys, root
    is_(c.sys.is_initialized(), False, 'it is not')
    is_(c.sys.read_init_status(), {'initialized': False}, 'init status')
    ok(c.sys.is_sealed(), 'it is sealed')
    raises(exceptions.VaultDown, lambda: c.read('secret/a'), 'a read')
    status(c.sys.read_health_status(), 501, 'HEAD of health')
    made = c.sys.initialize(secret_shares=3, secret_threshold=2)
    keys, root = made['keys'], made['root_token']
    is_(sorted(made), ['keys', 'keys_base64', 'root_token'], 'init gives')
    is_(len(keys), 3, 'three shares')
    raises(exceptions.InvalidRequest, lambda: c.sys.initialize(1, 1), 'again', 'Vault is already initialized')
    c = client(root)
    raises(exceptions.VaultDown, lambda: c.read('secret/a'), 'sealed', 'Vault is sealed')
    status(c.sys.read_health_status(), 503, 'HEAD of health')
    found = c.sys.submit_unseal_key(keys[0])
    ok(found['sealed'] and found['progress'] == 1 and found['t'] == 2 and found['n'] == 3, 'one share')
    is_(c.sys.submit_unseal_key(reset=True)['progress'], 0, 'reset')
    raises(exceptions.InvalidRequest, lambda: c.sys.submit_unseal_key('zz?'), 'no share')
    found = c.sys.submit_unseal_keys(keys[:2])
    is_(found['sealed'], False, 'two shares')
    for _ in range(100):
        if c.is_authenticated():
            break
    ok(c.is_authenticated(), 'the token is one')
    is_(client('hvs.nobody').is_authenticated(), False, 'another is none')


def health():
    status(c.sys.read_health_status(), 200, 'HEAD')
    found = c.sys.read_health_status(method='GET')
    ok(found['initialized'] and not found['sealed'] and not found['standby'], 'GET')
    found = c.sys.read_seal_status()
    ok(found['type'] == 'shamir' and not found['sealed'] and found['cluster_id'], 'seal status')
    found = c.sys.read_leader_status()
    ok('ha_enabled' in found and 'is_self' in found and 'leader_address' in found, 'leader')
    ok('ha_enabled' in c.ha_status, 'the same by its old name')
    ok(c.key_status['term'] >= 1 and c.key_status['install_time'], 'key-status')


def mounts():
    listed = c.sys.list_mounted_secrets_engines()
    ok('sys/' in listed and 'sys/' in listed['data'], 'list, in both places')
    status(c.sys.enable_secrets_engine('kv', path='one', description='d', options={'version': '1'}), 204, 'kv 1')
    status(c.sys.enable_secrets_engine('kv', path='two', options={'version': '2'}), 204, 'kv 2')
    listed = c.sys.list_mounted_secrets_engines()
    is_(listed['data']['two/']['options'], {'version': '2'}, 'options')
    is_(listed['one/']['description'], 'd', 'description')
    is_(c.sys.retrieve_mount_option('two', 'version', '1'), '2', 'an option')
    raises(exceptions.InvalidRequest, lambda: c.sys.enable_secrets_engine('kv', path='one'), 'twice', 'path is already in use at one/')
    raises(exceptions.InvalidRequest, lambda: c.sys.enable_secrets_engine('nonsense', path='x'), 'no engine')
    status(c.sys.tune_mount_configuration('one', default_lease_ttl='1h', max_lease_ttl='24h', description='tuned'), 204, 'tune')
    found = c.sys.read_mount_configuration('one')
    is_((found['data']['default_lease_ttl'], found['data']['max_lease_ttl']), (3600, 86400), 'is tuned')
    is_(found['default_lease_ttl'], 3600, 'at the top as well')
    c.sys.enable_secrets_engine('kv', path='old')
    found = c.sys.move_backend('old', 'new')
    ok(found is not None, 'move')
    for _ in range(200):
        if 'new/' in c.sys.list_mounted_secrets_engines()['data']:
            break
    ok('new/' in c.sys.list_mounted_secrets_engines()['data'], 'is moved')
    status(c.sys.disable_secrets_engine('new'), 204, 'disable')


def auth_mounts():
    listed = c.sys.list_auth_methods()
    is_(listed['data']['token/']['type'], 'token', 'list')
    is_(listed['token/']['type'], 'token', 'at the top as well')
    status(c.sys.enable_auth_method('approle', description='roles'), 204, 'approle')
    status(c.sys.enable_auth_method('userpass', config={'default_lease_ttl': '1h'}), 204, 'userpass')
    raises(exceptions.InvalidRequest, lambda: c.sys.enable_auth_method('approle'), 'twice', 'path is already in use')
    status(c.sys.tune_auth_method('approle', default_lease_ttl='30m', listing_visibility='unauth'), 204, 'tune')
    found = c.sys.read_auth_method_tuning('approle')['data']
    is_((found['default_lease_ttl'], found['listing_visibility']), (1800, 'unauth'), 'is tuned')
    c.sys.enable_auth_method('approle', path='gone')
    status(c.sys.disable_auth_method('gone'), 204, 'disable')
    ok('gone/' not in c.sys.list_auth_methods()['data'], 'is gone')


RULES = {'path': {'two/data/app/*': {'capabilities': ['create', 'read', 'update']}, 'one/app': {'capabilities': ['read']}}}


def policies():
    status(c.sys.create_or_update_policy('app', RULES), 204, 'write')
    ok('two/data/app/*' in c.sys.read_policy('app')['data']['rules'], 'read')
    ok('two/data/app/*' in c.sys.read_policy('app')['rules'], 'at the top as well')
    is_(sorted(c.sys.list_policies()['data']['policies']), ['app', 'default', 'root'], 'list')
    raises(exceptions.InvalidPath, lambda: c.sys.read_policy('nothing'), 'one that is not there')
    raises(exceptions.InvalidRequest, lambda: c.sys.create_or_update_policy('bad', 'path "a" {'), 'no rules')
    raises(exceptions.InvalidRequest, lambda: c.sys.delete_policy('root'), 'root stays', 'cannot delete "root" policy')
    c.sys.create_or_update_policy('gone', RULES)
    status(c.sys.delete_policy('gone'), 204, 'delete')


def tokens():
    auth = c.auth.token
    found = auth.lookup_self()['data']
    is_((found['policies'], found['ttl'], found['expire_time'], found['orphan']), (['root'], 0, None, True), 'of root')
    made = auth.create(policies=['app'], ttl='1h', meta={'owner': 'us'}, display_name='me', num_uses=0)['auth']
    is_((made['lease_duration'], made['renewable'], made['policies']), (3600, True, ['app', 'default']), 'create')
    token, accessor = made['client_token'], made['accessor']
    found = auth.lookup(token)['data']
    is_((found['display_name'], found['meta'], found['type']), ('token-me', {'owner': 'us'}, 'service'), 'lookup')
    is_(auth.lookup_accessor(accessor)['data']['id'], '', 'by accessor')
    is_(auth.renew(token, increment='2h')['auth']['lease_duration'], 7200, 'renew')
    is_(auth.renew_accessor(accessor, increment='10m')['auth']['lease_duration'], 600, 'by accessor')
    own = client(token)
    is_(own.auth.token.renew_self(increment='20m')['auth']['lease_duration'], 1200, 'renew-self')
    ok(accessor in auth.list_accessors()['data']['keys'], 'accessors')
    raises(exceptions.Forbidden, own.auth.token.list_accessors, 'not for everybody', 'permission denied')
    child = auth.create(policies=['app'], no_parent=True, ttl='1h')['auth']
    ok(child['orphan'], 'an orphan')
    status(auth.revoke(child['client_token']), 204, 'revoke')
    raises(exceptions.Forbidden, lambda: auth.lookup(child['client_token']), 'it is gone', 'bad token')
    status(auth.revoke_accessor(accessor), 204, 'by accessor')
    raises(exceptions.Forbidden, own.auth.token.lookup_self, 'it is gone', 'permission denied')
    other = client(auth.create(policies=['app'])['auth']['client_token'])
    status(other.auth.token.revoke_self(), 204, 'revoke-self')
    parent = auth.create(policies=['root'], ttl='1h')['auth']['client_token']
    child = client(parent).auth.token.create(policies=['app'], ttl='1h')['auth']['client_token']
    status(auth.revoke_and_orphan_children(parent), 204, 'revoke-orphan')
    ok(client(child).is_authenticated(), 'its child stays')
    batch = auth.create(policies=['app'], type='batch', ttl='1h')['auth']
    ok(batch['client_token'].startswith('hvb.') and batch['accessor'] == '', 'batch')
    status(auth.create_or_update_role('ops', allowed_policies='app,default', orphan=True), 204, 'a role')
    found = auth.read_role('ops')['data']
    is_((found['name'], found['orphan'], found['allowed_policies']), ('ops', True, ['app', 'default']), 'read')
    is_(auth.list_roles()['data']['keys'], ['ops'], 'list')
    is_(auth.create(role_name='ops', policies=['app'])['auth']['orphan'], True, 'a token of it')
    status(auth.delete_role('ops'), 204, 'delete')
    is_(c.sys.get_capabilities(['one/app'], token=child)['data']['one/app'], ['read'], 'capabilities')
    is_(c.sys.get_capabilities(['one/app'])['capabilities'], ['root'], 'of oneself')


def wrapping():
    found = c.auth.token.create(policies=['app'], wrap_ttl='5m')
    ok(found['wrap_info']['token'] and found['auth'] is None, 'a wrapped token')
    opened = c.sys.unwrap(found['wrap_info']['token'])
    is_(opened['auth']['accessor'], found['wrap_info']['wrapped_accessor'], 'unwrap')
    raises(exceptions.InvalidRequest, lambda: c.sys.unwrap(found['wrap_info']['token']), 'but once', 'wrapping token is not valid or does not exist')
    c.write('one/w', a='b')
    found = c.read('one/w', wrap_ttl='1m')
    is_(found['wrap_info']['creation_path'], 'one/w', 'a wrapped secret')
    own = client(found['wrap_info']['token'])
    is_(own.unwrap()['data'], {'a': 'b'}, 'unwrap with itself')
    found = c.write('sys/wrapping/wrap', wrap_ttl='1m', any='thing')
    looked = c.write('sys/wrapping/lookup', token=found['wrap_info']['token'])['data']
    is_((looked['creation_path'], looked['creation_ttl']), ('sys/wrapping/wrap', 60), 'look it up')
    again = c.write('sys/wrapping/rewrap', token=found['wrap_info']['token'])['wrap_info']['token']
    is_(c.unwrap(again)['data'], {'any': 'thing'}, 'rewrap')


def kv1():
    kv = c.secrets.kv.v1
    status(kv.create_or_update_secret('a/b', {'x': 1, 'y': {'z': [1, None]}}, mount_point='one'), 204, 'write')
    found = kv.read_secret('a/b', mount_point='one')
    is_((found['data'], found['renewable'], found['lease_id']), ({'x': 1, 'y': {'z': [1, None]}}, False, ''), 'read')
    is_(kv.list_secrets('a', mount_point='one')['data']['keys'], ['b'], 'list')
    raises(exceptions.InvalidPath, lambda: kv.list_secrets('none', mount_point='one'), 'list nothing')
    raises(exceptions.InvalidPath, lambda: kv.read_secret('none', mount_point='one'), 'one that is not there')
    status(kv.delete_secret('a/b', mount_point='one'), 204, 'delete')
    is_(c.read('one/a/b'), None, 'it is gone')
    is_(c.list('one/none'), None, 'list nothing, the plain way')
    big = 2 ** 63 - 1
    c.write('one/n', n=big)
    is_(c.read('one/n')['data']['n'], big, 'a number keeps its digits')
    c.write('one/dä t/ü', **{'é': 'ß'})
    is_(c.read('one/dä t/ü')['data'], {'é': 'ß'}, 'other letters')


def kv2():
    kv = c.secrets.kv.v2
    m = {'mount_point': 'two'}
    found = kv.create_or_update_secret('app/a', {'v': 1}, **m)['data']
    is_((found['version'], found['destroyed'], found['deletion_time']), (1, False, ''), 'write')
    found = kv.read_secret_version('app/a', **m)['data']
    is_((found['data'], found['metadata']['version']), ({'v': 1}, 1), 'read')
    raises(exceptions.InvalidRequest, lambda: kv.create_or_update_secret('app/a', {'v': 2}, cas=0, **m), 'cas 0', 'check-and-set parameter did not match the current version')
    is_(kv.create_or_update_secret('app/a', {'v': 2, 'w': 3}, cas=1, **m)['data']['version'], 2, 'cas 1')
    is_(kv.patch('app/a', {'v': 4}, **m)['data']['version'], 3, 'patch, by reading and writing')
    is_(kv.read_secret('app/a', **m)['data']['data'], {'v': 4, 'w': 3}, 'is merged')
    raises(exceptions.InvalidPath, lambda: kv.patch('none', {'v': 4}, **m), 'patch nothing')
    is_(kv.read_secret_version('app/a', version=1, **m)['data']['data'], {'v': 1}, 'an old version')
    status(kv.delete_latest_version_of_secret('app/a', **m), 204, 'delete the newest')
    raises(exceptions.InvalidPath, lambda: kv.read_secret_version('app/a', **m), 'it is gone')
    status(kv.undelete_secret_versions('app/a', [3], **m), 204, 'undelete')
    is_(kv.read_secret_version('app/a', **m)['data']['data'], {'v': 4, 'w': 3}, 'it is back')
    status(kv.delete_secret_versions('app/a', [1], **m), 204, 'delete one')
    status(kv.destroy_secret_versions('app/a', [1, 2], **m), 204, 'destroy')
    status(kv.update_metadata('app/a', max_versions=5, cas_required=False, delete_version_after='30m', **m), 204, 'metadata')
    found = kv.read_secret_metadata('app/a', **m)['data']
    is_((found['current_version'], found['max_versions'], found['delete_version_after']), (3, 5, '30m0s'), 'read')
    is_((found['versions']['1']['destroyed'], found['versions']['3']['destroyed']), (True, False), 'versions')
    is_(kv.list_secrets('', **m)['data']['keys'], ['app/'], 'list')
    is_(kv.list_secrets('app', **m)['data']['keys'], ['a'], 'deeper')
    status(kv.configure(max_versions=7, cas_required=True, **m), 204, 'configure')
    found = kv.read_configuration(**m)['data']
    is_((found['max_versions'], found['cas_required'], found['delete_version_after']), (7, True, '0s'), 'read')
    raises(exceptions.InvalidRequest, lambda: kv.create_or_update_secret('b', {'v': 2}, **m), 'cas is required', 'check-and-set parameter required for this call')
    kv.configure(max_versions=0, cas_required=False, **m)
    status(kv.delete_metadata_and_all_versions('app/a', **m), 204, 'delete all of it')
    raises(exceptions.InvalidPath, lambda: kv.read_secret_metadata('app/a', **m), 'it is gone')


def cubbyhole():
    own = client(c.auth.token.create(policies=['default'])['auth']['client_token'])
    own.write('cubbyhole/a', x='y')
    is_(own.read('cubbyhole/a')['data'], {'x': 'y'}, 'one\'s own')
    is_(own.list('cubbyhole')['data']['keys'], ['a'], 'list')
    is_(c.read('cubbyhole/a'), None, 'nobody else\'s')


def approle():
    auth = c.auth.approle
    status(auth.create_or_update_approle('web', token_policies=['app'], token_ttl='20m', token_max_ttl='1h', secret_id_num_uses=2), 204, 'write')
    found = auth.read_role('web')['data']
    is_((found['token_policies'], found['token_ttl'], found['bind_secret_id']), (['app'], 1200, True), 'read')
    is_(auth.list_roles()['data']['keys'], ['web'], 'list')
    role = auth.read_role_id('web')['data']['role_id']
    secret = auth.generate_secret_id('web', metadata={'host': 'h1'})['data']
    ok(secret['secret_id'] and secret['secret_id_accessor'], 'secret-id')
    own = client()
    found = own.auth.approle.login(role, secret['secret_id'])['auth']
    is_((found['policies'], found['lease_duration'], found['metadata'].get('host')), (['app', 'default'], 1200, 'h1'), 'login')
    ok(own.is_authenticated(), 'its token')
    raises(exceptions.InvalidRequest, lambda: client().auth.approle.login(role, 'nonsense'), 'a wrong one', 'invalid role or secret ID')
    found = auth.read_secret_id('web', secret['secret_id'])['data']
    is_((found['secret_id_num_uses'], found['metadata']), (1, {'host': 'h1'}), 'one use is left')
    is_(auth.read_secret_id_accessor('web', secret['secret_id_accessor'])['data']['secret_id_num_uses'], 1, 'by accessor')
    ok(secret['secret_id_accessor'] in auth.list_secret_id_accessors('web')['data']['keys'], 'accessors')
    status(auth.destroy_secret_id_accessor('web', secret['secret_id_accessor']), 204, 'destroy')
    raises(exceptions.InvalidRequest, lambda: client().auth.approle.login(role, secret['secret_id']), 'it is gone', 'invalid role or secret ID')
    found = auth.create_custom_secret_id('web', 'mine', metadata={'a': 'b'})['data']
    is_(found['secret_id'], 'mine', 'one\'s own')
    status(auth.destroy_secret_id('web', 'mine'), 204, 'destroy')
    status(auth.update_role_id('web', 'my-role'), 204, 'a role-id of one\'s own')
    is_(auth.read_role_id('web')['data']['role_id'], 'my-role', 'read')
    status(auth.delete_role('web'), 204, 'delete')


def userpass():
    auth = c.auth.userpass
    status(auth.create_or_update_user('Alice', password='pw', policies='app'), 204, 'write')
    is_(auth.list_user()['data']['keys'], ['alice'], 'list')
    is_(auth.read_user('alice')['data']['token_policies'], ['app'], 'read')
    own = client()
    found = own.auth.userpass.login('alice', 'pw')['auth']
    is_((found['policies'], found['metadata'], found['lease_duration']), (['app', 'default'], {'username': 'alice'}, 3600), 'login')
    ok(own.is_authenticated(), 'its token')
    raises(exceptions.InvalidRequest, lambda: client().auth.userpass.login('alice', 'no'), 'a wrong password', 'invalid username or password')
    status(auth.update_password_on_user('alice', 'other'), 204, 'another password')
    ok(client().auth.userpass.login('alice', 'other')['auth'], 'login by it')
    own.logout(revoke_token=True)
    is_(own.is_authenticated(), False, 'logout')
    status(auth.delete_user('alice'), 204, 'delete')


def identity():
    i = c.secrets.identity
    entity = i.create_or_update_entity('dora', metadata={'team': 'one'}, policies=['app'])['data']
    eid = entity['id']
    found = i.read_entity(eid)['data']
    is_((found['name'], found['metadata'], found['policies'], found['disabled']), ('dora', {'team': 'one'}, ['app'], False), 'an entity')
    is_(i.read_entity_by_name('dora')['data']['id'], eid, 'by name')
    ok(eid in i.list_entities()['data']['keys'], 'list')
    ok('dora' in i.list_entities_by_name(method='GET')['data']['keys'], 'by GET')
    accessor = c.sys.list_auth_methods()['data']['userpass/']['accessor']
    alias = i.create_or_update_entity_alias('dora', eid, accessor)['data']
    is_(alias['canonical_id'], eid, 'an alias')
    is_(i.read_entity_alias(alias['id'])['data']['name'], 'dora', 'read')
    is_(i.lookup_entity(alias_name='dora', alias_mount_accessor=accessor)['data']['id'], eid, 'look up by alias')
    group = i.create_or_update_group(name='devs', member_entity_ids=[eid], policies=['app'])['data']
    is_(i.read_group(group['id'])['data']['member_entity_ids'], [eid], 'a group')
    is_(i.lookup_group(name='devs')['data']['id'], group['id'], 'look up')
    c.auth.userpass.create_or_update_user('dora', password='pw')
    found = client().auth.userpass.login('dora', 'pw')['auth']
    is_((found['entity_id'], found['identity_policies']), (eid, ['app']), 'whoever logs in')
    second = i.create_or_update_entity('second')['data']['id']
    status(i.merge_entities([second], eid), 204, 'merge')
    status(i.delete_group(group['id']), 204, 'delete the group')
    status(i.delete_entity_alias(alias['id']), 204, 'the alias')
    status(i.delete_entity(eid), 204, 'the entity')
    raises(exceptions.InvalidPath, lambda: i.read_entity(eid), 'it is gone')


def leases():
    raises(exceptions.InvalidRequest, lambda: c.sys.read_lease('one/none'), 'look up none', 'invalid lease')
    raises(exceptions.InvalidRequest, lambda: c.sys.renew_lease('one/none'), 'renew none', 'lease not found')
    status(c.sys.revoke_lease('one/none'), 204, 'revoke none')
    # This client says the prefix twice, which it is warned of.
    ok(c.sys.revoke_prefix('one/none')['warnings'], 'by prefix')
    ok(c.sys.revoke_force('one/none')['warnings'], 'by force')
    c.auth.userpass.create_or_update_user('leased', password='pw')
    client().auth.userpass.login('leased', 'pw')
    ok(c.sys.list_leases('auth/userpass/login')['data']['keys'], 'list')


def audit():
    is_(c.sys.list_enabled_audit_devices()['data']['log/']['type'], 'file', 'the configured one')
    is_(c.sys.list_enabled_audit_devices()['log/']['type'], 'file', 'at the top as well')
    ok(c.sys.calculate_hash('log', 'x')['hash'].startswith('hmac-sha256:'), 'hash')
    raises(exceptions.InvalidRequest, lambda: c.sys.enable_audit_device('file', path='py'), 'one more, by a request', 'cannot enable audit device via API')


def archive():
    taken = c.sys.take_raft_snapshot()
    is_(taken.headers['Content-Type'], 'application/gzip', 'its type')
    is_(taken.content[:2], b'\x1f\x8b', 'a gzipped file')
    denied = client(c.auth.token.create(policies=['default'])['auth']['client_token'])
    raises(exceptions.Forbidden, denied.sys.take_raft_snapshot, 'by whoever may', 'permission denied')


def namespaces():
    found = c.sys.create_namespace('team')
    ok(found, 'create')
    is_(c.sys.list_namespaces()['data']['keys'], ['team/'], 'list')
    own = hvac.Client(url=ADDRESS, token=root, namespace='team')
    status(own.sys.enable_secrets_engine('kv', path='kv', options={'version': '1'}), 204, 'a mount in it')
    own.write('kv/a', x='y')
    is_(own.read('kv/a')['data'], {'x': 'y'}, 'a secret in it')
    is_(c.read('team/kv/a')['data'], {'x': 'y'}, 'by its path')
    is_(c.read('kv/a'), None, 'nowhere else')


def errors():
    denied = client(c.auth.token.create(policies=['default'])['auth']['client_token'])
    raises(exceptions.Forbidden, lambda: denied.read('one/n'), 'not allowed', 'permission denied')
    raises(exceptions.Forbidden, lambda: client('hvs.nobody').read('one/n'), 'nobody', 'permission denied')
    raises(exceptions.InvalidPath, lambda: c.write('nothing/here', a='b'), 'no mount', 'no handler for route')
    raises(exceptions.InvalidRequest, lambda: c.write('one/x'), 'nothing to write', 'missing data fields')
    raises(exceptions.UnexpectedError, lambda: c.list('two/data/app'), 'a verb that a path has not', 'unsupported operation')


def operator():
    found = c.sys.read_root_generation_progress()
    is_((found['started'], found['required']), (False, 2), 'generate-root: none')
    found = c.sys.start_root_token_generation()
    otp, nonce = found['otp'], found['nonce']
    is_(len(otp), found['otp_length'], 'begin')
    is_(c.sys.generate_root(keys[0], nonce)['progress'], 1, 'one share')
    found = c.sys.generate_root(keys[2], nonce)
    ok(found['complete'], 'two')
    encoded = found['encoded_token'] + '=' * (-len(found['encoded_token']) % 4)
    token = bytes(a ^ b for a, b in zip(base64.b64decode(encoded), otp.encode())).decode()
    ok(client(token).is_authenticated(), 'a root token')
    c.sys.start_root_token_generation()
    status(c.sys.cancel_root_generation(), 204, 'cancel')
    before = c.sys.get_encryption_key_status()['data']['term']
    status(c.sys.rotate_encryption_key(), 204, 'rotate')
    is_(c.sys.get_encryption_key_status()['data']['term'], before + 1, 'a new term')
    is_(c.sys.read_rekey_progress()['started'], False, 'rekey: none')
    found = c.sys.start_rekey(secret_shares=5, secret_threshold=3)
    is_((found['started'], found['t'], found['n']), (True, 3, 5), 'begin')
    found = c.sys.rekey_multi(keys[:2], nonce=found['nonce'])
    ok(found['complete'] and len(found['keys']) == 5, 'new shares')
    status(c.sys.seal(), 204, 'seal')
    ok(c.sys.is_sealed(), 'is sealed')
    raises(exceptions.InvalidRequest, lambda: [c.sys.submit_unseal_key(key) for key in keys], 'old shares')
    c.sys.submit_unseal_key(reset=True)
    is_(c.sys.submit_unseal_keys(found['keys'][1:4])['sealed'], False, 'new shares')
    for _ in range(100):
        if c.is_authenticated():
            break
    is_(c.read('one/n')['data'], {'n': 2 ** 63 - 1}, 'what was there is there')


def b64(text):
    return base64.b64encode(text.encode()).decode()


def transit():
    c.sys.enable_secrets_engine('transit')
    t = c.secrets.transit
    t.create_key('aes')
    found = t.read_key('aes')['data']
    ok(found['type'] == 'aes256-gcm96' and found['supports_encryption'], 'its type')
    is_(found['latest_version'], 1, 'its version')
    t.create_key('derived', derived=True, convergent_encryption=True)
    is_(t.list_keys()['data']['keys'], ['aes', 'derived'], 'listed')
    plain = b64('attack at dawn')
    one = t.encrypt_data('aes', plain)['data']
    ok(one['ciphertext'].startswith('vault:v1:') and one['key_version'] == 1, 'encrypted')
    is_(t.decrypt_data('aes', one['ciphertext'])['data']['plaintext'], plain, 'decrypted')
    ok(t.encrypt_data('aes', plain)['data']['ciphertext'] != one['ciphertext'], 'never the same')
    context = b64('tenant')
    same = [t.encrypt_data('derived', plain, context=context)['data']['ciphertext'] for _ in '12']
    is_(same[0], same[1], 'convergent: the same')
    is_(t.decrypt_data('derived', same[0], context=context)['data']['plaintext'], plain, 'by context')
    raises(exceptions.InvalidRequest, lambda: t.decrypt_data('derived', same[0], context=plain),
           'by another context', 'message authentication failed')
    raises(exceptions.InvalidRequest, lambda: t.decrypt_data('aes', 'nonsense'), 'no ciphertext', 'no prefix')

    t.rotate_key('aes')
    two = t.rewrap_data('aes', one['ciphertext'])['data']
    ok(two['ciphertext'].startswith('vault:v2:') and two['key_version'] == 2, 'rewrapped')
    t.update_key_configuration('aes', min_decryption_version=2, deletion_allowed=True)
    raises(exceptions.InvalidRequest, lambda: t.decrypt_data('aes', one['ciphertext']), 'too old',
           'disallowed by policy')
    batch = [{'plaintext': plain}, {'plaintext': b64('')}]
    results = t.encrypt_data('aes', '', batch_input=batch)['data']['batch_results']
    is_(len(results), 2, 'a batch')
    back = t.decrypt_data('aes', '', batch_input=[{'ciphertext': r['ciphertext']} for r in results])
    is_([r['plaintext'] for r in back['data']['batch_results']], [plain, ''], 'and back')

    key = t.generate_data_key('aes', 'plaintext', bits=128)['data']
    is_(t.decrypt_data('aes', key['ciphertext'])['data']['plaintext'], key['plaintext'], 'data key')
    ok('plaintext' not in t.generate_data_key('aes', 'wrapped')['data'], 'wrapped data key')
    is_(len(t.generate_random_bytes(16, 'hex')['data']['random_bytes']), 32, 'random bytes')
    wanted = hashlib.sha256(b'attack at dawn').hexdigest()
    is_(t.hash_data(plain, 'sha2-256', 'hex')['data']['sum'], wanted, 'hash')
    hmac = t.generate_hmac('aes', plain, algorithm='sha2-256')['data']['hmac']
    ok(t.verify_signed_data('aes', plain, hmac=hmac)['data']['valid'], 'hmac')

    for kind in ['ed25519', 'ecdsa-p256', 'rsa-2048']:
        t.create_key(kind, key_type=kind, exportable=True)
        signature = t.sign_data(kind, plain)['data']['signature']
        ok(t.verify_signed_data(kind, plain, signature=signature)['data']['valid'], kind + ' signs')
        found = t.verify_signed_data(kind, context, signature=signature)['data']
        is_(found['valid'], False, kind + ': not of another input')
        exported = t.export_key(kind, 'signing-key')['data']['keys']
        is_(list(exported), ['1'], kind + ': exported')
    raises(exceptions.InvalidRequest, lambda: t.export_key('aes', 'encryption-key'), 'no export', 'not exportable')

    t.create_key('kept', exportable=True, allow_plaintext_backup=True)
    sealed = t.encrypt_data('kept', plain)['data']['ciphertext']
    backup = t.backup_key('kept')['data']['backup']
    t.restore_key(backup, name='again')
    is_(t.decrypt_data('again', sealed)['data']['plaintext'], plain, 'restored')
    raises(exceptions.VaultError, lambda: t.restore_key(backup, name='again'), 'not over another', 'already exists')
    raises(exceptions.InvalidRequest, lambda: t.delete_key('kept'), 'kept', 'deletion is not allowed')
    status(t.delete_key('aes'), 204, 'deleted')
    raises(exceptions.InvalidPath, lambda: t.read_key('aes'), 'gone')


def verified(leaf, chain, root_pem, what, *more):
    """What openssl thinks of a certificate."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, text in [('leaf', leaf), ('chain', '\n'.join(chain)), ('root', root_pem)]:
            files[name] = os.path.join(folder, name)
            with open(files[name], 'w') as out:
                out.write(text + '\n')
        between = ['-untrusted', files['chain']] if chain else []
        words = ['openssl', 'verify', '-CAfile', files['root'], *between, *more, files['leaf']]
        done = subprocess.run(words, capture_output=True, text=True)
        is_(done.returncode, 0, what + ': openssl verify' + (done.stdout + done.stderr if done.returncode else ''))


def pki():
    for name in ['ca', 'pki']:
        c.sys.enable_secrets_engine('pki', path=name, config={'max_lease_ttl': '8760h'})
    p = c.secrets.pki
    made = p.generate_root('internal', 'Root', {'key_type': 'ec', 'ttl': '8760h'}, mount_point='ca')['data']
    root_pem = made['certificate']
    verified(root_pem, [], root_pem, 'the root')
    is_(p.read_ca_certificate(mount_point='ca').strip(), root_pem.strip(), 'it is read')
    csr = p.generate_intermediate('internal', 'Middle', {'key_type': 'ec'})['data']['csr']
    signed = p.sign_intermediate(csr, 'Middle', {'ttl': '4380h'}, mount_point='ca')['data']
    verified(signed['certificate'], signed['ca_chain'], root_pem, 'the intermediate')
    p.set_signed_intermediate('\n'.join([signed['certificate'], root_pem]))
    ok('BEGIN CERTIFICATE' in p.read_ca_certificate_chain(), 'its chain is read')
    p.set_urls({'issuing_certificates': ADDRESS + '/v1/pki/ca', 'crl_distribution_points': ADDRESS + '/v1/pki/crl'})
    is_(p.read_urls()['data']['issuing_certificates'], [ADDRESS + '/v1/pki/ca'], 'urls')

    role = {'allowed_domains': 'example.com', 'allow_subdomains': True, 'key_type': 'ec', 'max_ttl': '72h'}
    p.create_or_update_role('web', role)
    is_(p.list_roles()['data']['keys'], ['web'], 'roles')
    is_(p.read_role('web')['data']['allowed_domains'], ['example.com'], 'role')
    leaf = p.generate_certificate('web', 'www.example.com', {'alt_names': 'b.example.com', 'ttl': '1h'})['data']
    ok('PRIVATE KEY' in leaf['private_key'] and leaf['private_key_type'] == 'ec', 'its key')
    for host in ['www.example.com', 'b.example.com']:
        verified(leaf['certificate'], leaf['ca_chain'], root_pem, host, '-verify_hostname', host)
    raises(exceptions.InvalidRequest, lambda: p.generate_certificate('web', 'www.example.org'), 'another domain',
           'not allowed by this role')
    raises(exceptions.InvalidRequest, lambda: p.generate_certificate('none', 'x'), 'no role', 'unknown role')

    for kind, word in [('rsa:2048', '-newkey'), ('ed25519', '-newkey')]:
        words = ['openssl', 'req', '-new', word, kind, '-nodes', '-keyout', '/dev/null', '-subj', '/CN=c.example.com']
        csr = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        p.create_or_update_role('sign', dict(role, key_type='any'))
        signed = p.sign_certificate('sign', csr, 'c.example.com')['data']
        verified(signed['certificate'], signed['ca_chain'], root_pem, kind + ' signed')
        signed = p.sign_verbatim(csr)['data']
        verified(signed['certificate'], signed['ca_chain'], root_pem, kind + ' verbatim')

    serial = leaf['serial_number']
    ok(serial in p.list_certificates()['data']['keys'], 'it is listed')
    found = p.read_certificate(serial)['data']
    is_(found['certificate'].strip(), leaf['certificate'].strip(), 'it is read')
    is_(found['revocation_time'], 0, 'it is not revoked')
    ok(p.revoke_certificate(serial)['data']['revocation_time'] > 0, 'revoked')
    ok(p.read_certificate(serial)['data']['revocation_time'] > 0, 'and read as that')
    ok('BEGIN X509 CRL' in p.read_crl(), 'the list')
    is_(p.rotate_crl()['data'], {'success': True}, 'made anew')
    p.set_crl_configuration('48h')
    is_(p.read_crl_configuration()['data']['expiry'], '48h', 'its settings')
    status(p.delete_role('web'), 204, 'no role')
    status(c.sys.disable_secrets_engine('ca'), 204, 'no mount')


parts = [health, mounts, auth_mounts, policies, tokens, wrapping, kv1, kv2, cubbyhole, approle,
             userpass, identity, leases, audit, archive, namespaces, transit, pki, errors]
for part in parts if root else [initialise] + parts + [operator]:
    section = part.__name__
    try:
        part()
    except Exception:
        say('not ok', 'it ran to its end', traceback.format_exc())
print('done')
