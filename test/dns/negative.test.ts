/** One template says no for all names of a length. */
import fc from 'fast-check'
import t from 'tap'
import { zoneOf } from '../../src/dns/name.ts'
import { Negatives } from '../../src/dns/negative.ts'
import { nameFromLabels, nameToText, newQuestion, readQuestion } from '../../src/wire/dns/mod.ts'
import { propertyRuns } from '../run/budget.ts'
import { bytes, parsed } from '../wire/dns/arbitraries.ts'
import { configWith, queryOf } from './support.ts'

const question = newQuestion()
const out = Buffer.alloc(65_535)
const write = {
  maxSizeBytes: 512,
  maxAnswers: 3,
  wantedAnswers: 0,
  recursionAvailable: false,
  markTruncated: false,
  random: 0,
}

function answerTo(negatives: Negatives, name: string, zoneText: string, nowS = 7) {
  const query = queryOf(`${name} A`)
  readQuestion(query, question)
  const template = negatives.template(3, zoneOf(zoneText), question.key.length - 4, nowS)
  return { template, message: parsed(out.subarray(0, template.write(out, query, question, write))) }
}

const soa = { refreshSeconds: 1, retrySeconds: 2, expireSeconds: 3, minTtlSeconds: 4 }

for (const disableCompression of [false, true]) {
  const config = configWith({ disableCompression, soa })

  t.test(`property: any name gets its zone's SOA, compressed: ${!disableCompression}`, async () => {
    const negatives = new Negatives(config)
    const label = fc.oneof(fc.constantFrom('ns', 'hostmaster', 'consul', 'x'), bytes(1, 63))
    const zone = fc.constantFrom('consul', 'a.example')
    fc.assert(
      fc.property(fc.array(label, { maxLength: 4 }), zone, (labels, zoneText) => {
        const wire = nameFromLabels([...labels, ...zoneText.split('.')])
        if (wire === undefined) return
        const name = nameToText(wire)
        const { message } = answerTo(negatives, name, zoneText)
        t.strictSame(message.questions, [{ name, type: 'A', class: 1 }])
        t.strictSame(message.authorities, [
          {
            name: `${zoneText}.`,
            class: 1,
            ttlS: 4,
            type: 'SOA',
            data: {
              mname: `ns.${zoneText}.`,
              rname: `hostmaster.${zoneText}.`,
              serial: 7,
              refreshS: 1,
              retryS: 2,
              expireS: 3,
              minimumS: 4,
            },
          },
        ])
        t.equal(message.rcode, 3)
        t.equal(message.authoritative, true)
      }),
      { numRuns: propertyRuns() },
    )
  })
}

t.test('equal lengths share a template for a second', async t => {
  const negatives = new Negatives(configWith({}))
  const first = answerTo(negatives, 'abc.consul', 'consul').template
  t.equal(answerTo(negatives, 'xyz.consul', 'consul').template, first)
  t.not(answerTo(negatives, 'wxyz.consul', 'consul').template, first)
  t.not(answerTo(negatives, 'abc.consul', 'consul', 8).template, first)
})

t.test('every length that a name can have', async t => {
  const negatives = new Negatives(configWith({}))
  for (let size = 2; size <= 246; size++) {
    const labels: string[] = []
    for (let left = size; left > 0; ) {
      const taken = left === 65 ? 32 : Math.min(left, 64)
      labels.push('n'.repeat(taken - 1))
      left -= taken
    }
    const { message } = answerTo(negatives, [...labels, 'consul'].join('.'), 'consul')
    t.equal(message.authorities[0]?.name, 'consul.', `${size} bytes before the zone`)
  }
})
