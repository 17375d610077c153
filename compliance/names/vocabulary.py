"""Words that are no names, or short for one: titles, particles, forms of companies, pet names."""

from typing import Final

TITLES: Final = frozenset(
    "mr mrs ms miss mister dr doctor prof professor gen general col colonel capt captain maj major lt brig eng "
    "engineer ing sheikh shaykh sheik shaikh cheikh haji hajji hajj hadji haj alhaj sir dame lord hon rev ayatollah "
    "hafiz akhund akhond mawlana maulana sahib saheb mullah mulla maulvi mawlawi qari ustad herr frau monsieur "
    "madame senor senora don dona gospodin gospozha kyrios kyria "
    "jr sr".split()
)

# Words that join the parts of a name; who writes them and who leaves them out is a matter of habit.
PARTICLES: Final = frozenset(
    "al el ul il bin ben ibn bint ould wuld oulad de del della di da dos das do du la las le los van von der den ten "
    "ter and und et ve the of zu zum bn abn o mc mac".split()
)
# The Arabic article as it sounds before s, sh, t, d, n, r, z: `as-Sabah`. A particle only before such a word,
# because An and As are names.
SUN_ARTICLES: Final = frozenset("ar er ur as es us at et ut ad ed ud an en un az ez uz ash esh ush ach ech".split())

COMPANY_FORMS: Final = frozenset(
    "llc ltd limited liability company co corp corporation inc incorporated plc public gmbh mbh ag kg sa sas srl sarl "
    "spa bv nv oao ooo ao zao pao oo jsc ojsc cjsc pjsc joint stock open closed aktsionernoe aktsionernoye "
    "obshchestvo otkrytoe otkrytoye zakrytoe zakrytoye publichnoe ogranichennoy otvetstvennostyu ltda limitada pty "
    "proprietary pte private pvt fze fzco fzc llp lp as anonim sirketi sti compania anonima sociedad ca cv de shpk tov "
    "ab oy oyj aps doo dd kft rt sro spol cia cie est establishment".split()
)

SHORT_FORMS: Final = {
    "shpg": "shipping", "intl": "international", "int": "international", "mfg": "manufacturing", "bros": "brothers",
    "univ": "university", "dept": "department", "ind": "industries", "inds": "industries", "assn": "association",
    "assoc": "association", "mgmt": "management", "trdg": "trading", "govt": "government", "org": "organization",
    "organisation": "organization", "centre": "center",
}  # fmt: skip

# A line is one name with what its bearers are called, in any spelling: they are compared by their sound.
PET_NAMES: Final = """
aleksandr alexander alejandro sasha sascha shura alex sandro alec
aleksandra alexandra sasha sandra
yevgeniy eugene zhenya
dmitriy dima mitya
sergey seryozha serezha
anatoliy tolya
vladimir vova volodya
volodymyr vova
mikhail michael misha mike mick mickey
gennadiy gena
yekaterina catherine katherine katya kate cathy kathy
pavel paul pasha
nikolay nicholas nikolaos kolya nick nikos
natalya natasha
aleksey alexei lyosha lesha lyokha alyosha
konstantin konstantinos kostya kostas costas
yuriy yura george
mariya maria masha
vyacheslav slava
grigoriy gregory grisha greg
vasiliy vasya basil
boris borya
viktor victor vitya vic
leonid lyonya lenya
roman roma
valentin valentina valya
olga olya
stanislav stas stan
semyon syoma sema simon
lyudmila lyuda mila
fyodor fedor fedya theodore
maksim maxim max
ivan vanya john
tatyana tanya
andrey andrew andy drew
georgios george giorgos yiorgos
dimitrios dimitris mitsos jim
ioannis giannis yannis john
christos hristos chris
panagiotis panos takis
jose pepe
francisco paco pancho frank
jesus chucho
guadalupe lupe
ignacio nacho
enrique quique
james jim jimmy jamie
william bill billy will willy liam
robert bob bobby rob
richard dick rick rich
elizabeth liz lizzie beth betty eliza
margaret peggy maggie meg
patrick paddy pat
christopher chris kit
joseph joe joey
thomas tom tommy
anthony tony
edward ed eddie ted ned
charles charlie chuck
daniel dan danny
samuel sam
benjamin ben benny
david dave davy
stephen steven steve
matthew matt
jennifer jenny jen
susan sue suzy
muhammad mehmet mamadou mohd md muhd
ahmad ahmet
yusuf joseph yousef
ibrahim abraham
ali cali
umar omar cumar
abdi cabdi
"""
