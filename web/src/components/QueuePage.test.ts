import { flushPromises, mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { EscalationList } from '../api/types'
import { sample } from '../queue/sample'
import QueuePage from './QueuePage.vue'

class SilentStream extends EventTarget {
  static opened: SilentStream[] = []
  constructor(readonly url: string) {
    super()
    SilentStream.opened.push(this)
  }
  close(): void {
    /* nothing is open */
  }
}

let queue: { status: number; body: EscalationList | Record<string, never> }
const sent: [string, unknown][] = []

function list(...items: ReturnType<typeof sample>[]): EscalationList {
  return { items, tomorrow: [], now: Date.UTC(2026, 10, 23, 8, 0), demo: true }
}

beforeEach(() => {
  sent.length = 0
  SilentStream.opened.length = 0
  vi.stubGlobal('EventSource', SilentStream)
  vi.stubGlobal('fetch', vi.fn((path: string, call: RequestInit) => {
    if (call.method === 'POST') sent.push([path, JSON.parse(String(call.body))])
    if (path === '/api/v1/escalations') return Promise.resolve(Response.json(queue.body, { status: queue.status }))
    return Promise.resolve(Response.json(path === '/sync/v1/ticket' ? { ticket: 't' } : {}))
  }))
})

afterEach(() => {
  vi.unstubAllGlobals()
})

async function open() {
  const page = mount(QueuePage)
  await flushPromises()
  return page
}

describe('the queue page', () => {
  it('says why a case is here, since when, and who has it', async () => {
    queue = { status: 200, body: list(sample()) }
    const text = (await open()).text()
    for (const word of ['超过签收时限', '街道', '橙色', '今天 10:00', '已过', '城关司法所', '三楼漏水到二楼', '提级到区']) {
      expect(text).toContain(word)
    }
  })

  it('shows no text of a sealed case', async () => {
    queue = { status: 200, body: list(sample({ protection: 'sealed', title: null })) }
    expect((await open()).text()).toContain('只显示事实')
  })

  it('what reaches the leader tomorrow is told today', async () => {
    const { case_id, code, title, category_zh, status, status_zh, risk, protection, cell, handler, next } = sample()
    const coming = { case_id, code, title, category_zh, status, status_zh, risk, protection, cell, handler, next: next ?? { at: null, level: null, zh: '', en: '' } }
    queue = { status: 200, body: { ...list(), tomorrow: [coming] } }
    expect((await open()).find('[data-group=tomorrow]').text()).toContain('提级到区')
  })

  it('a promise that has passed is not shown as a good one', async () => {
    const ack = { by: 'u', by_name: '孟庆川', until: Date.UTC(2026, 10, 23, 7, 0) }
    queue = { status: 200, body: list(sample({ ack })) }
    const told = (await open()).find('.done')
    expect(told.text()).toContain('时间已过')
    expect(told.classes()).toContain('late')
  })

  it('an empty queue is good news', async () => {
    queue = { status: 200, body: list() }
    expect((await open()).find('[data-test=empty]').exists()).toBe(true)
  })

  it('somebody who is no leader is told so', async () => {
    queue = { status: 403, body: {} }
    expect((await open()).find('[data-failure=forbidden]').text()).toContain('这一页给领导看')
  })

  it('a failure keeps on screen what was there', async () => {
    queue = { status: 200, body: list(sample()) }
    const page = await open()
    queue = { status: 500, body: {} }
    SilentStream.opened[0]?.dispatchEvent(new Event('RESYNC'))
    await flushPromises()
    expect(page.find('[data-failure=server]').exists()).toBe(true)
    expect(page.text()).toContain('三楼漏水到二楼')
  })

  it('a poke brings what is new', async () => {
    queue = { status: 200, body: list(sample()) }
    const page = await open()
    queue = { status: 200, body: list(sample(), sample({ id: 'e2', title: '讨薪' })) }
    SilentStream.opened[0]?.dispatchEvent(new Event('RESYNC'))
    await flushPromises()
    expect(page.text()).toContain('讨薪')
  })

  it('while a leader writes, what is new waits behind a bar', async () => {
    queue = { status: 200, body: list(sample()) }
    const page = await open()
    await page.find('[data-act=instruct]').trigger('click')
    queue = { status: 200, body: list(sample(), sample({ id: 'e2', title: '讨薪' })) }
    SilentStream.opened[0]?.dispatchEvent(new Event('RESYNC'))
    await flushPromises()
    expect(page.text()).not.toContain('讨薪')
    await page.find('[data-test=fresh]').trigger('click')
    expect(page.text()).toContain('讨薪')
  })

  it('taking a case on sends the promised time', async () => {
    queue = { status: 200, body: list(sample()) }
    const page = await open()
    await page.find('[data-act=acknowledge]').trigger('click')
    await page.find('input[name=until]').setValue('2026-11-24T09:00')
    await page.find('form').trigger('submit')
    await flushPromises()
    expect(sent).toContainEqual(['/api/v1/escalations/e1/acts', { act: 'acknowledge', until: Date.UTC(2026, 10, 24, 1, 0) }])
    expect(page.find('form').exists()).toBe(false)
  })

  it('in the demo the clock can be moved one working day', async () => {
    queue = { status: 200, body: list(sample()) }
    const page = await open()
    await page.find('[data-test=advance]').trigger('click')
    expect(sent).toContainEqual(['/api/v1/demo/advance', { working_days: 1 }])
  })
})
