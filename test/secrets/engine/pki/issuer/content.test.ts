/** Whatever is asked for: a certificate that says it, or a refusal, and never half of either. */
import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { propertyRuns } from '../../../../run/budget.ts'
import { openAuthority } from '../authority.ts'

const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('example.com', 'a@example.com', '*.example.com', '', ',', 'a,b', '\0', 'x\n'),
)
const list = fc.oneof(text, fc.array(text, { maxLength: 3 }))
const number = fc.oneof(fc.integer(), fc.constantFrom(-1, 0, 1, 2, '', '3', null))
const fields: Record<string, fc.Arbitrary<unknown>> = {
  ...Object.fromEntries(
    ['common_name', 'alt_names', 'serial_number', 'not_before', 'not_after', 'ttl', 'skid'].map(
      name => [name, text],
    ),
  ),
  ...Object.fromEntries(
    [
      ...['ip_sans', 'uri_sans', 'other_sans', 'ou', 'organization', 'country', 'locality'],
      ...['province', 'street_address', 'postal_code', 'key_usage', 'ext_key_usage'],
      ...['ext_key_usage_oids', 'permitted_dns_domains', 'excluded_ip_ranges'],
      ...['permitted_email_addresses', 'excluded_uri_domains'],
    ].map(name => [name, list]),
  ),
  other_sans: fc.oneof(
    list,
    text.map(value => [`1.2.3;UTF8:${value}`]),
  ),
  uri_sans: fc.oneof(
    list,
    fc.webUrl().map(url => [url]),
  ),
  max_path_length: number,
  exclude_cn_from_sans: fc.boolean(),
  format: fc.constantFrom('pem', 'der', 'pem_bundle'),
}
/** Few fields at a time: one that is refused hides the others. */
const asked = fc
  .subarray(Object.keys(fields), { minLength: 1, maxLength: 3 })
  .chain(names => fc.record(Object.fromEntries(names.map(name => [name, fields[name]!]))))

t.test('a root, an intermediate by its fields, a request', async t => {
  const secrets = await openAuthority(t)
  const { csr } = (await secrets.post('pki/intermediate/generate/internal', { key_type: 'ec' }))
    .body.data
  await secrets.post('pki/root/generate/internal', {
    ...{ common_name: 'Root', key_type: 'ec', key_name: 'key', ttl: '87600h' },
  })
  const signer = new X509Certificate((await secrets.read('pki/ca/pem')).text)
  const bytes = (told: string, format: string | undefined): string | Buffer =>
    format === 'der' ? Buffer.from(told, 'base64') : told
  let given = 0
  await fc.assert(
    fc.asyncProperty(asked, async said => {
      const data = said as { format?: string }
      const root = await secrets.post('pki/root/generate/existing', {
        ...(data as object),
        key_ref: 'key',
      })
      t.ok(root.status === 200 || root.status === 400, JSON.stringify(data))
      if (root.status === 200) {
        const made = new X509Certificate(bytes(root.body.data.certificate, data.format))
        t.ok(made.verify(made.publicKey))
        given++
        await secrets.remove(`pki/issuer/${root.body.data.issuer_id}`)
      }
      const signed = await secrets.post(`pki/root/sign-intermediate`, { ...(data as object), csr })
      t.ok(signed.status === 200 || signed.status === 400, JSON.stringify(data))
      if (signed.status === 200) {
        const made = new X509Certificate(bytes(signed.body.data.ca_chain[0], data.format))
        t.ok(made.ca && made.verify(signer.publicKey))
      }
      const request = await secrets.post('pki/intermediate/generate/existing', {
        ...(data as object),
        key_ref: 'key',
      })
      t.ok(request.status === 200 || request.status === 400, JSON.stringify(data))
    }),
    { numRuns: propertyRuns() },
  )
  t.ok(given > 20, `${given} were given`)
})
