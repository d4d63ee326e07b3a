import { computed, ref, watchEffect } from 'vue'
import type { Lang } from '../queue/time'
import { en } from './en'
import { zh, type Words } from './zh'

const KEY = 'wangge.lang'
const lang = ref<Lang>(localStorage.getItem(KEY) === 'en' ? 'en' : 'zh')
const words = computed<Words>(() => (lang.value === 'en' ? en : zh))

watchEffect(() => {
  document.documentElement.lang = lang.value === 'en' ? 'en' : 'zh-CN'
  document.title = lang.value === 'en' ? 'Wangge 网格' : '网格 wangge'
})

function switchLang(): void {
  lang.value = lang.value === 'en' ? 'zh' : 'en'
  localStorage.setItem(KEY, lang.value)
}

export function useWords() {
  return { lang, words, switchLang }
}
