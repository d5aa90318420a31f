/** The settings file of PingID: what is read of it, and what is refused. */
import t from 'tap'
import type { FactorAsks } from '../../../../src/secrets/mfa/factor/factor.ts'
import { pingidSettings } from '../../../../src/secrets/mfa/factor/settings.ts'

type Config = Parameters<FactorAsks['pingid']>[0]

const encoded = (...lines: string[]): string => Buffer.from(lines.join('\n')).toString('base64')

t.test('a settings file is read line by line', async t => {
  const file = encoded(
    '#Auto-generated',
    'use_base64_key=c2VjcmV0a2V5Cg==',
    'use_signature=true',
    'token=0123456789abcdef',
    '',
    'idp_url=https://idp.example.com/pingid/',
    'org_alias=alias',
    'admin_url=https://idp.example.com/admin',
    'authenticator_url=https://auth.example.com/ppm\r',
  )
  const config: Config = {
    useBase64Key: 'c2VjcmV0a2V5Cg==',
    useSignature: true,
    token: '0123456789abcdef',
    idpUrl: 'https://idp.example.com/pingid',
    orgAlias: 'alias',
    adminUrl: 'https://idp.example.com/admin',
    authenticatorUrl: 'https://auth.example.com/ppm',
  }
  t.strictSame(pingidSettings(file), config)
  t.strictSame(pingidSettings(file.replace(/.{40}/g, '$&\n')), config, 'in lines of its own')
})

t.test('what is no settings file is refused, without its values', async t => {
  const secret = 'c2VjcmV0a2V5'
  const refused: readonly (readonly [string, RegExp])[] = [
    ['', /^settings_file_base64 is empty$/],
    ['{}', /^settings_file_base64 is not base64$/],
    ['A'.repeat(16_385), /longer than 16384 characters/],
    [encoded(secret), /not in key=value format$/],
    [encoded('use_signature=perhaps'), /^error parsing use_signature value in pingid settings/],
    [encoded(`colour=${secret}`), /^unknown key "colour" in pingid settings file$/],
    [encoded(`__proto__=${secret}`), /^unknown key "__proto__"/],
  ]
  for (const [file, words] of refused) {
    const { wrong } = pingidSettings(file) as { wrong: string }
    t.match(wrong, words)
    t.notMatch(wrong, secret)
  }
})
