/** Duo's signature, by the examples that Duo publishes. */
import t from 'tap'
import {
  duoAuthorization,
  duoDate,
  duoParameters,
} from '../../../../src/secrets/mfa/factor/duo-request.ts'

t.test('the example of the documentation', async t => {
  // https://duo.com/docs/authapi, "Authentication".
  const parameters = { username: 'root', realname: 'First Last' }
  const request = {
    ...{ method: 'POST', host: 'api-XXXXXXXX.duosecurity.com', parameters },
    path: '/accounts/v1/account/list',
  }
  const keys = {
    integrationKey: 'DIWJ8X6AEYOR5OMC6TQ1',
    secretKey: 'Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep',
  }
  const date = 'Tue, 21 Aug 2012 17:29:18 -0000'
  t.equal(duoDate(Date.UTC(2012, 7, 21, 17, 29, 18)), date)
  t.equal(
    duoAuthorization(request, keys, date),
    'Basic RElXSjhYNkFFWU9SNU9NQzZUUTE6MmQ5N2Q2MTY2MzE5NzgxYjVhM2EwN2FmMzlkMzY2ZjQ5MTIzNGVkYw==',
  )
})

t.test('the example of its client libraries: letters of all alphabets', async t => {
  const parameters = {
    '\u469a\u287b\u35d0\u8ef3\u6727\u502a\u0810\ud091\xc8\uc170':
      '\u0f45\u1a76\u341a\u654c\uc23f\u9b09\uabe2\u8343\u1b27\u60d0',
    '\u7449\u7e4b\uccfb\u59ff\ufe5f\u83b7\uadcc\u900c\ucfd1\u7813':
      '\u8db7\u5022\u92d3\u42ef\u207d\u8730\uacfe\u5617\u0946\u4e30',
    '\u7470\u9314\u901c\u9eae\u40d8\u4201\u82d8\u8c70\u1d31\ua042':
      '\u17d9\u0ba8\u9358\uaadf\ua42a\u48be\ufb96\u6fe9\ub7ff\u32f3',
    '\uc2c5\u2c1d\u2620\u3617\u96b3F\u8605\u20e8\uac21\u5934':
      '\ufba9\u41aa\ubd83\u840b\u2615\u3e6e\u652d\ua8b5\ud56bU',
  }
  const request = { method: 'PoSt', host: 'foO.BAr52.cOm', path: '/Foo/BaR2/qux', parameters }
  const keys = {
    integrationKey: 'test_ikey',
    secretKey: 'gtdfxv9YgVBYcF6dl2Eq17KUQJN2PLM2ODVTkvoT',
  }
  const header = duoAuthorization(request, keys, 'Fri, 07 Dec 2012 17:18:00 -0000')
  t.equal(header, 'Basic dGVzdF9pa2V5OmYwMTgxMWNiYmY5NTYxNjIzYWI0NWI4OTMwOTYyNjdmZDQ2YTUxNzg=')
})

t.test('what is escaped, and the order', async t => {
  t.equal(
    duoParameters({ p: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~', w: '\t\n\v\f\r ' }),
    'p=%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D~' +
      '&w=%09%0A%0B%0C%0D%20',
  )
  t.equal(
    duoParameters({ 'foo-a': '3', foo_bar: '2', foo1: '4', foo: '1' }),
    [...['foo=1', 'foo-a=3', 'foo1=4', 'foo_bar=2']].join('&'),
  )
  t.equal(duoParameters({}), '')
})
