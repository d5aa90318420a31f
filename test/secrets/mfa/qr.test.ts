/** Pictures of URLs: whole PNG files, that a reader of QR codes gets the text from. */
import { decodeQR } from 'qr/decode.js'
import t from 'tap'
import { qrPng, refuseQr } from '../../../src/secrets/mfa/qr.ts'
import { pixelsOf } from './pixels.ts'

const URL_TEXT = `otpauth://totp/gatehouse:${'x'.repeat(36)}?algorithm=SHA512&digits=8&secret=ABC`

t.test('a picture holds its text, at any size that it fits into', async t => {
  for (const pixels of [120, 200, 201, 333, 1_024]) {
    const file = Buffer.from(qrPng(URL_TEXT, pixels), 'base64')
    const image = pixelsOf(file)
    t.equal(image.width, pixels)
    t.equal(decodeQR(image), URL_TEXT, `${pixels} pixels`)
  }
})

t.test('none is made where none is wanted, nor one that nobody could read', async t => {
  t.equal(qrPng(URL_TEXT, 0), '')
  t.equal(refuseQr(URL_TEXT, 0), undefined)
  t.match(
    refuseQr(URL_TEXT, 10)?.text,
    /^qr_size is too small for this secret: it takes \d+ pixels$/,
  )
  t.equal(refuseQr(URL_TEXT, 200), undefined)
})
