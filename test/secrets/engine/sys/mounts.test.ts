/** `sys/mounts` and `sys/auth`. */
import tap from 'tap'
import { openSecrets } from '../../harness.ts'

tap.test('what every namespace has is listed, also beside the envelope', async t => {
  const secrets = await openSecrets(t)
  const { body } = await secrets.read('sys/mounts')
  t.strictSame(Object.keys(body.data), ['cubbyhole/', 'identity/', 'sys/'])
  t.match(body['sys/'], { type: 'system', accessor: /^system_[0-9a-f]{8}$/, options: null })
  const auth = (await secrets.read('sys/auth')).body
  t.strictSame(Object.keys(auth.data), ['token/'])
  t.match(auth['token/'], { type: 'token', config: { token_type: 'default-service' } })
})

tap.test('an engine is mounted, shown, tuned and unmounted', async t => {
  const secrets = await openSecrets(t)
  const given = { type: 'kv', description: 'shop', config: { max_lease_ttl: '2h' } }
  t.equal((await secrets.post('sys/mounts/team/a', given)).status, 204)
  t.match((await secrets.read('sys/mounts/team/a')).body.data, {
    type: 'kv',
    description: 'shop',
    accessor: /^kv_[0-9a-f]{8}$/,
    config: { max_lease_ttl: 7200, default_lease_ttl: 0, force_no_cache: false },
    deprecation_status: 'supported',
    running_plugin_version: /^v1\.\d+\.\d+\+builtin\.vault$/,
  })
  t.match((await secrets.read('sys/mounts/team/a/tune')).body.data, {
    default_lease_ttl: 7200,
    max_lease_ttl: 7200,
  })
  const tuning = {
    description: 'both shops',
    default_lease_ttl: '30m',
    audit_non_hmac_request_keys: 'a,b',
    listing_visibility: 'unauth',
  }
  t.equal((await secrets.post('sys/mounts/team/a/tune', tuning)).status, 204)
  const { body } = await secrets.read('sys/mounts/team/a/tune')
  t.match(body, { description: 'both shops', default_lease_ttl: 1800, max_lease_ttl: 7200 })
  t.strictSame(body.data.audit_non_hmac_request_keys, ['a', 'b'])
  await secrets.post('sys/mounts/team/a/tune', { default_lease_ttl: 'system', max_lease_ttl: '' })
  t.equal((await secrets.read('sys/mounts/team/a/tune')).body.data.default_lease_ttl, 7200)
  await secrets.post('team/a/x', { v: 1 })
  t.equal((await secrets.remove('sys/mounts/team/a')).status, 204)
  t.match(await secrets.read('sys/mounts/team/a'), {
    status: 400,
    text: 'No secret engine mount at team/a/',
  })
  t.match(await secrets.read('team/a/x'), { status: 404, text: /^no handler for route/ })
  t.equal((await secrets.remove('sys/mounts/team/a')).status, 204, 'also where there is none')
  await secrets.post('sys/mounts/team/a', given)
  t.equal((await secrets.read('team/a/x')).status, 404, 'nothing is left of what was there')
})

tap.test('kinds of kv are named by their version', async t => {
  const secrets = await openSecrets(t)
  const types = [
    ['kv-v2', { version: '2' }],
    ['kv-v1', { version: '1' }],
    ['generic', { version: '1' }],
    ['kv', null],
  ] as const
  for (const [type, options] of types) {
    await secrets.post(`sys/mounts/${type}`, { type, options: null })
    const { data } = (await secrets.read(`sys/mounts/${type}`)).body
    t.strictSame([data.type, data.options], ['kv', options])
  }
})

tap.test('what cannot be mounted is refused in words that clients know', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/mounts/team/a', { type: 'kv' })
  const refused = [
    ['mounts/team/a', { type: 'kv' }, 'path is already in use at team/a/'],
    ['mounts/team', { type: 'kv' }, 'path is already in use at team/a/'],
    ['mounts/team/a/b', { type: 'kv' }, 'path is already in use at team/a/'],
    ['mounts/sys', { type: 'kv' }, 'cannot mount "sys/"'],
    ['mounts/auth/x', { type: 'kv' }, 'cannot mount "auth/x/"'],
    ['mounts/x', { type: 'system' }, 'mount type of "system" is not mountable'],
    ['mounts/x', { type: 'nothing' }, 'plugin not found in the catalog: nothing'],
    ['mounts/x', {}, 'backend type must be specified as a string'],
    ['mounts/x', { type: 'plugin' }, 'plugin_name must be provided for plugin backend'],
    ['mounts/x', { type: 'kv', config: { max_lease_ttl: 'x' } }, /^unable to parse max TTL/],
    ['mounts/x', { type: 'kv', config: 5 }, /^Field validation failed/],
    [
      'mounts/x',
      { type: 'kv', config: { force_no_cache: 'x' } },
      'unable to convert given mount config information',
    ],
    [
      'mounts/x',
      { type: 'kv', config: { default_lease_ttl: '2h', max_lease_ttl: '1h' } },
      'backend max lease TTL of 3600 would be less than backend default lease TTL of 7200',
    ],
    [
      'mounts/x',
      { type: 'kv', config: { default_lease_ttl: '769h' } },
      'given default lease TTL greater than system max lease TTL of 2764800',
    ],
    [
      'mounts/x',
      { type: 'kv', config: { listing_visibility: 'maybe' } },
      'invalid listing_visibility maybe',
    ],
    ['mounts/x/tune', { description: 'x' }, 'tune of path "x/" failed: no mount entry found'],
    ['mounts/sys/tune', { description: 'x' }, 'cannot tune parameter description of sys/'],
    ['mounts/team/a/tune', { options: { version: '3' } }, 'invalid version provided: 3'],
    ['mounts/team/a/tune', { token_type: 'batch' }, /can only be modified on auth mounts/],
    ['mounts/team/a/tune', { user_lockout_config: { lockout_threshold: 3 } }, /not allowed$/],
    ['auth/token/tune', { token_type: 'batch' }, /cannot be set for 'token'/],
    ['mounts/a%20 ', { type: 'kv' }, 'path cannot contain trailing whitespace'],
    ['mounts/a\u200b', { type: 'kv' }, 'path cannot contain non-printable characters'],
  ] as const
  for (const [path, data, text] of refused) {
    t.match(await secrets.post(`sys/${path}`, data), { status: 400, text }, path)
  }
  t.match(await secrets.remove('sys/mounts/sys'), { status: 400, text: 'cannot unmount "sys/"' })
  t.match(await secrets.remove('sys/auth/token'), {
    status: 400,
    text: 'token credential backend cannot be disabled',
  })
  t.match(await secrets.read('sys/mounts/auth/token'), { body: { data: { type: 'token' } } })
  t.match(await secrets.read('sys/mounts/auth/none'), {
    status: 400,
    text: 'No secret engine mount at auth/none/',
  })
  t.match(await secrets.read('sys/auth/none'), { status: 400, text: 'No auth engine at none/' })
  t.match(await secrets.read('sys/mounts/none/tune'), {
    status: 400,
    text: 'cannot fetch sysview for path "none/"',
  })
  t.equal(
    (await secrets.post('sys/mounts/sys/tune', { audit_non_hmac_request_keys: ['a'] })).status,
    204,
  )
})

tap.test('kv is made newer by tuning, never older', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/mounts/old', { type: 'kv', options: { version: '1' } })
  const got = await secrets.post('sys/mounts/old/tune', { options: { version: '2' } })
  t.match(got.body.warnings, [/^Upgrading mount from version 1 to version 2/])
  t.match(await secrets.post('sys/mounts/old/tune', { options: { version: '1' } }), {
    status: 400,
    text: 'cannot downgrade mount from version 2',
  })
})

tap.test('unknown fields are told of', async t => {
  const secrets = await openSecrets(t)
  const got = await secrets.post('sys/mounts/x', { type: 'kv', colour: 'red', path: 'y' })
  t.strictSame(got.body.warnings, [
    'Endpoint ignored these unrecognized parameters: [colour]',
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [path]",
  ])
})
