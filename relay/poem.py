"""The poem that the article's endpoints recite."""

from __future__ import annotations

# Character for character the article's string: the spaces before the first line, the one behind it and the empty last
# line belong to it.
POEM = (
    "       什么是愛而不得? \n"
    "東邊日出西邊雨,道是無晴卻有晴。\n"
    "他朝若是同淋雪,此生也算共白頭。\n"
    "我本將心向明月,奈何明月照溝渠。\n"
    "此時相望不相聞,愿逐月華流照君。\n"
    "衣帶漸寬終不悔,為伊消得人憔悴。\n"
    "此情可待成追憶,只是當時已惘然。\n"
    "人生若只如初見,何事西風悲畫扇。\n"
    "曾經滄海難為水,除卻巫山不是云。\n"
    "何當共剪西窗燭,卻話巴山夜雨時。\n"
    "天長地久有時盡,此恨綿綿無絕期。\n"
    "\n"
)
