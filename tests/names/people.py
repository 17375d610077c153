"""People and companies whose listed names and variants are written by hand. They are invented; likeness is chance.

`TUNING` and `HELD_OUT` share nobody. A Cyrillic or Greek name is its own script, and standards do the rest.
"""

# ruff: noqa: E501 (a table of names, one to a line)
# fmt: off

# surname, given name, patronymic, a nickname of the given name (or "")
CYRILLIC_TUNING = [
    ("Щербаков", "Евгений", "Юрьевич", "Женя"), ("Жуковский", "Дмитрий", "Алексеевич", "Дима"),
    ("Хрусталёв", "Александр", "Николаевич", "Саша"), ("Цветков", "Сергей", "Викторович", "Серёжа"),
    ("Юшкевич", "Анатолий", "Михайлович", "Толя"), ("Яблонский", "Владимир", "Андреевич", "Вова"),
    ("Шульгин", "Михаил", "Евгеньевич", "Миша"), ("Ежов", "Геннадий", "Ильич", "Гена"),
    ("Кудрявцева", "Екатерина", "Сергеевна", "Катя"), ("Афанасьев", "Павел", "Олегович", "Паша"),
    ("Чижиков", "Николай", "Васильевич", "Коля"), ("Лебедева", "Наталья", "Юрьевна", "Наташа"),
    ("Зайцев", "Алексей", "Фёдорович", "Лёша"), ("Гусейнов", "Руслан", "Тимурович", ""),
    ("Пастухов", "Константин", "Львович", "Костя"), ("Мещеряков", "Юрий", "Эдуардович", "Юра"),
    ("Хабибуллин", "Ильдар", "Рашидович", ""), ("Соловьёва", "Мария", "Дмитриевна", "Маша"),
    ("Быков", "Вячеслав", "Петрович", "Слава"), ("Тютчев", "Григорий", "Семёнович", "Гриша"),
]
CYRILLIC_HELD_OUT = [
    ("Воробьёв", "Аркадий", "Евгеньевич", ""), ("Шевчук", "Василий", "Иванович", "Вася"),
    ("Чернышёв", "Игорь", "Валерьевич", ""), ("Железняк", "Борис", "Ефимович", "Боря"),
    ("Христенко", "Виктор", "Юрьевич", "Витя"), ("Третьяков", "Илья", "Сергеевич", ""),
    ("Цыганков", "Леонид", "Яковлевич", "Лёня"), ("Щукин", "Роман", "Алексеевич", "Рома"),
    ("Якушев", "Валентин", "Андреевич", "Валя"), ("Юсупов", "Тимур", "Рустамович", ""),
    ("Ефремова", "Ольга", "Николаевна", "Оля"), ("Журавлёв", "Станислав", "Вадимович", "Стас"),
    ("Кузьмичёв", "Артём", "Геннадьевич", ""), ("Хачатурян", "Армен", "Саркисович", ""),
    ("Быстров", "Андрей", "Витальевич", ""), ("Заречный", "Семён", "Аркадьевич", "Сёма"),
    ("Овчинникова", "Людмила", "Петровна", "Люда"), ("Рыжков", "Фёдор", "Михайлович", "Федя"),
    ("Полуянов", "Вадим", "Игоревич", ""), ("Стрельцов", "Максим", "Юрьевич", "Макс"),
    ("Ушаков", "Георгий", "Львович", ""), ("Добрынин", "Кирилл", "Эдуардович", ""),
]

GREEK_TUNING = [
    ("Παπαδόπουλος", "Γεώργιος"), ("Χατζηδάκης", "Ευάγγελος"), ("Μπακογιάννης", "Κωνσταντίνος"),
    ("Θεοδωράκης", "Ξενοφών"), ("Αγγελόπουλος", "Δημήτριος"), ("Ψαρουδάκης", "Ιωάννης"),
    ("Βασιλείου", "Χρήστος"), ("Καραγιάννης", "Αθανάσιος"), ("Τσουκαλάς", "Νικόλαος"),
    ("Οικονόμου", "Αικατερίνη"), ("Φωτόπουλος", "Παναγιώτης"), ("Ζαχαριάδης", "Σταύρος"),
]
GREEK_HELD_OUT = [
    ("Σταματόπουλος", "Θεόδωρος"), ("Λαμπράκης", "Χαράλαμπος"), ("Γιαννακόπουλος", "Ηλίας"),
    ("Δημητρίου", "Ευθύμιος"), ("Κυριακίδης", "Βασίλειος"), ("Ξανθόπουλος", "Ανδρέας"),
    ("Μαυρομιχάλης", "Πέτρος"), ("Τριανταφύλλου", "Σπυρίδων"), ("Φραγκούλης", "Αντώνιος"),
    ("Χρυσοχοΐδης", "Μιχαήλ"), ("Παπαϊωάννου", "Στέφανος"), ("Αναγνωστόπουλος", "Ελευθέριος"),
    ("Βενιζέλος", "Σωτήριος"), ("Καλογερόπουλος", "Δημοσθένης"),
]

# Latin as listed, the native spelling, then other spellings that are in use
ARABIC_TUNING = [
    ("AL-RASHIDI, Khalid Mahmud", "خالد محمود الراشدي", ["Khaled Mahmoud Al Rashidi", "Halid Mahmoud el-Rachidi"]),
    ("ABD AL-RAHMAN, Yusuf Hasan", "يوسف حسن عبد الرحمن", ["Youssef Hassan Abdulrahman", "Yousuf Hasan Abdel Rahman"]),
    ("AL-TIKRITI, Umar Salim", "عمر سالم التكريتي", ["Omar Salem Tikriti", "Omar Salim at-Tikriti"]),
    ("BIN SULAYMAN, Faysal Jamil", "فيصل جميل بن سليمان", ["Faisal Jameel Bin Suleiman", "Fayçal Djamil Ben Slimane"]),
    ("ABU BAKR, Mustafa Tariq", "مصطفى طارق أبو بكر", ["Mostafa Tarek Abubakr", "Moustapha Tariq Aboubakr"]),
    ("AL-HAMDANI, Nur al-Din", "نور الدين الحمداني", ["Nureddin Alhamdani", "Noureddine El Hamdani"]),
    ("QASIM, Ibrahim Shakir", "إبراهيم شاكر قاسم", ["Ebrahim Shaker Kassem", "Ibrahim Chaker Kacem"]),
    ("AL-MAGHRIBI, Said Abd al-Aziz", "سعيد عبد العزيز المغربي", ["Saeed Abdulaziz Maghrabi", "Saïd Abdelaziz El Maghribi"]),
    ("HUSAYN, Jabir Rida", "جابر رضا حسين", ["Jaber Reda Hussein", "Djaber Redha Hocine"]),
    ("AL-SHARIF, Muhammad Anwar", "محمد أنور الشريف", ["Mohamed Anouar Cherif", "Mohammed Anwar Al Shareef"]),
    ("KHATTAB, Walid Ghassan", "وليد غسان خطاب", ["Waleed Ghassan Khatab", "Oualid Ghassane Khettab"]),
    ("AL-ZAHRANI, Salih Fahd", "صالح فهد الزهراني", ["Saleh Fahad Alzahrani", "Salah Fahd Zahrani"]),
    ("MANSUR, Layla Dawud", "ليلى داود منصور", ["Leila Daoud Mansour", "Laila Dawood Mansoor"]),
    ("AL-BAGHDADI, Thamir Ziyad", "ثامر زياد البغدادي", ["Thamer Ziad Baghdadi", "Tamer Zeyad Al Bagdadi"]),
    ("AL-SUDANI, Abdallah Tawfiq", "عبد الله توفيق السوداني", ["Abdullah Tawfik Sudani", "Abdalla Taoufik Al Soudani"]),
    ("AL-QAHTANI, Majid Ayman", "ماجد أيمن القحطاني", ["Majed Aiman Kahtani", "Magid Ayman Alqahtani"]),
]
ARABIC_HELD_OUT = [
    ("AL-DULAYMI, Hisham Raʿd", "هشام رعد الدليمي", ["Hishām Raʻd al-Dulaymī", "Hicham Raad Doulaimi"]),
    ("AL-JABURI, Yasin Muhsin", "ياسين محسن الجبوري", ["Yāsīn Muḥsin al-Jabūrī", "Yassine Mohsen Joubouri"]),
    ("ABD AL-QADIR, Bashir Lutfi", "بشير لطفي عبد القادر", ["Bashīr Luṭfī ʻAbd al-Qādir", "Bachir Lotfi Abdelkader"]),
    ("SHAHIN, Isma'il Nabil", "إسماعيل نبيل شاهين", ["Ismāʻīl Nabīl Shāhīn", "Ismaël Nabil Chahine"]),
    ("AL-KHUWAYLIDI, Rashid Amin", "راشد أمين الخويلدي", ["Rāshid Amīn al-Khuwaylidī", "Rached Amine Khouildi"]),
    ("BIN UTHMAN, Zayd Marwan", "زيد مروان بن عثمان", ["Zayd Marwān bin ʻUthmān", "Zied Marouane Ben Othman"]),
    ("AL-HASHIMI, Hamza Sufyan", "حمزة سفيان الهاشمي", ["Ḥamzah Sufyān al-Hāshimī", "Hamza Sofiane El Hachemi"]),
    ("SALAH AL-DIN, Tahir Munir", "طاهر منير صلاح الدين", ["Ṭāhir Munīr Ṣalāḥ al-Dīn", "Taher Mounir Salaheddine"]),
    ("AL-FARISI, Abd al-Karim Nasir", "عبد الكريم ناصر الفارسي", ["ʻAbd al-Karīm Nāṣir al-Fārisī", "Abdelkrim Nasser El Farissi"]),
    ("DARWISH, Fatima Zahra", "فاطمة زهراء درويش", ["Fāṭimah Zahrāʼ Darwīsh", "Fatma Zohra Derouiche"]),
    ("AL-NAJJAR, Ya'qub Shukri", "يعقوب شكري النجار", ["Yaʻqūb Shukrī al-Najjār", "Yacoub Choukri Nadjar"]),
    ("AL-TAMIMI, Ghalib Yahya", "غالب يحيى التميمي", ["Ghālib Yaḥyá al-Tamīmī", "Ghaleb Yehia Temimi"]),
    ("HADDAD, Sulayman Khalil", "سليمان خليل حداد", ["Sulaymān Khalīl Ḥaddād", "Slimane Khelil Haddad"]),
    ("AL-SAMARRA'I, Adnan Wahib", "عدنان وهيب السامرائي", ["ʻAdnān Wahīb al-Sāmarrāʼī", "Adnane Ouahib Samarrai"]),
]

# surname, syllables of the given name, Han
CHINESE_TUNING = [
    ("zhang", "xiao ming", "张晓明"), ("wang", "jian guo", "王建国"), ("chen", "zhi qiang", "陈志强"),
    ("zhao", "li hong", "赵丽红"), ("huang", "zhen hai", "黄振海"), ("xu", "guang jun", "徐光军"),
    ("zhou", "bo wen", "周博文"), ("lin", "shu fen", "林淑芬"), ("guo", "cheng long", "郭成龙"),
    ("tang", "yu lan", "唐玉兰"), ("deng", "xue feng", "邓学峰"), ("qian", "rong hua", "钱荣华"),
    ("song", "jia qi", "宋佳琪"), ("ma", "de sheng", "马德胜"), ("luo", "kai wen", "罗凯文"), ("jiang", "ping", "蒋平"),
]
CHINESE_HELD_OUT = [
    ("zheng", "guo dong", "郑国栋"), ("cai", "zhong yi", "蔡忠义"), ("xie", "ting feng", "谢霆锋"),
    ("peng", "xiu zhen", "彭秀珍"), ("cao", "yong gang", "曹永刚"), ("yuan", "qi ming", "袁启明"),
    ("dong", "jun jie", "董俊杰"), ("pan", "bai chuan", "潘百川"), ("du", "yue sheng", "杜月笙"),
    ("feng", "ji cai", "冯骥才"), ("xiao", "zhan peng", "萧展鹏"), ("jia", "tian zuo", "贾天佐"),
    ("ren", "da hai", "任大海"), ("gao", "xing jian", "高兴健"), ("qin", "shao hui", "秦少辉"), ("fu", "cong", "傅聪"),
]

# as listed, then (kind, variant)
LATIN_TUNING = [
    ("GARCÍA MORALES, José Luis", [("diacritics", "Jose Luis Garcia Morales"), ("second surname", "José Luis García"), ("nickname", "Pepe Garcia Morales")]),
    ("MÜLLER, Karl-Heinz", [("diacritics", "Karlheinz Mueller"), ("spacing", "Karl Heinz Muller")]),
    ("ÖZTÜRK, Mehmet Şahin", [("diacritics", "Mehmet Sahin Ozturk"), ("diacritics", "Mehmet Sahin Oeztuerk")]),
    ("O'SULLIVAN, Patrick James", [("spacing", "Patrick O Sullivan"), ("nickname", "Paddy James O'Sullivan")]),
    ("DE LA CRUZ RAMÍREZ, María Fernanda", [("diacritics", "Maria Fernanda De la Cruz Ramirez"), ("spacing", "Maria Fernanda Delacruz Ramirez")]),
    ("WOJCIECHOWSKI, Grzegorz", [("typo", "Grzegorz Wojciechowsky"), ("typo", "Gregorz Wojciechowski")]),
    ("NGUYỄN VĂN HÙNG", [("diacritics", "Nguyen Van Hung"), ("order", "Hung Van Nguyen")]),
    ("MACDONALD, William Alexander", [("spacing", "William Mac Donald"), ("nickname", "Bill Alexander MacDonald")]),
    ("SØRENSEN, Anders", [("diacritics", "Anders Sorensen"), ("diacritics", "Anders Soerensen")]),
    ("DA SILVA PEREIRA, João Carlos", [("diacritics", "Joao Carlos da Silva Pereira"), ("second surname", "João Carlos Pereira")]),
    ("VAN DER MERWE, Robert Jacobus", [("nickname", "Bob Jacobus van der Merwe"), ("spacing", "Robert Jacobus Vandermerwe")]),
    ("HORVÁTH, László István", [("diacritics", "Laszlo Istvan Horvath"), ("missing middle", "László Horváth")]),
    ("JOVANOVIĆ, Đorđe", [("diacritics", "Djordje Jovanovic"), ("typo", "Djordje Jovanovich")]),
    ("THOMPSON, Elizabeth Margaret", [("nickname", "Liz Margaret Thompson"), ("nickname", "Elizabeth Peggy Thompson")]),
]
LATIN_HELD_OUT = [
    ("RODRÍGUEZ IBÁÑEZ, Jesús Ángel", [("diacritics", "Jesus Angel Rodriguez Ibanez"), ("second surname", "Jesús Ángel Rodríguez")]),
    ("SCHÖNFELDER, Hans-Jürgen", [("diacritics", "Hans Juergen Schoenfelder"), ("spacing", "Hansjürgen Schonfelder")]),
    ("YILDIRIM, Çağlar Ünal", [("diacritics", "Caglar Unal Yildirim")]),
    ("MCALLISTER, Christopher Joseph", [("nickname", "Chris Joseph McAllister"), ("spacing", "Christopher Mc Allister")]),
    ("KOWALCZYK, Małgorzata", [("diacritics", "Malgorzata Kowalczyk"), ("typo", "Malgorzata Kowalczik")]),
    ("TRẦN THỊ MAI LAN", [("diacritics", "Tran Thi Mai Lan"), ("order", "Mai Lan Tran Thi")]),
    ("DOS SANTOS ARAÚJO, Luís Filipe", [("diacritics", "Luis Filipe dos Santos Araujo"), ("typo", "Luis Felipe dos Santos Araujo")]),
    ("ŽIVKOVIĆ, Miloš", [("diacritics", "Milos Zivkovic")]),
    ("RICHARDSON, Michael Anthony", [("nickname", "Mike Anthony Richardson"), ("typo", "Micheal Anthony Richardson")]),
    ("DUPONT-LEFÈVRE, Étienne", [("diacritics", "Etienne Dupont Lefevre"), ("spacing", "Étienne Dupontlefèvre")]),
]

COMPANIES_TUNING = [
    ("BALTIC SHIPMENT HOLDING LLC", ["Baltic Shipment Holding Limited Liability Company", "OOO Baltic Shipment Holding"]),
    ("GOLDEN CRESCENT TRADING CO., LTD.", ["Golden Crescent Trading Company Limited", "Golden Crescent Trading"]),
    ("AKTSIONERNOE OBSHCHESTVO SEVERNY MOST", ["AO Severny Most", "Severnyy Most JSC"]),
    ("EXPORTADORA DEL VALLE AZUL S.A. DE C.V.", ["Exportadora del Valle Azul SA de CV", "Exportadora Valle Azul"]),
    ("HAMBURGER STAHLKONTOR GMBH", ["Hamburger Stahl-Kontor GmbH", "Hamburger Stahlkontor G.m.b.H."]),
    ("AL NOOR EXCHANGE AND REMITTANCE", ["Alnoor Exchange & Remittance", "Al-Nur Exchange and Remittance Co"]),
    ("PETROQUIMICA ORIENTE, C.A.", ["Petroquímica Oriente", "Petroquimica Oriente Compania Anonima"]),
    ("MERIDIAN AVIATION FZE", ["Meridian Aviation", "Meridian Aviation F.Z.E."]),
    ("SHENYANG HEAVY PUMP IMPORT EXPORT CORPORATION", ["Shenyang Heavy Pump Import & Export Corp.", "Shen Yang Heavy Pump Import-Export Corp"]),
    ("CYPRUS MARITIME INVESTMENTS PUBLIC COMPANY LTD", ["Cyprus Maritime Investments Plc", "Cyprus Maritime Investment Ltd"]),
]
COMPANIES_HELD_OUT = [
    ("NORTHERN LANTERN LOGISTICS LIMITED LIABILITY COMPANY", ["Northern Lantern Logistics LLC", "Northern Lantern Logistics Ltd."]),
    ("COMERCIALIZADORA RIO PARDO LTDA.", ["Comercializadora Río Pardo Limitada", "Comercializadora Rio-Pardo"]),
    ("OTKRYTOE AKTSIONERNOE OBSHCHESTVO VOLGOMASH", ["OAO Volgomash", "Volgomash Open Joint Stock Company"]),
    ("DELTA PHARMA SANAYI VE TICARET ANONIM SIRKETI", ["Delta Pharma Sanayi ve Ticaret A.S.", "Delta Pharma Sanayi Ticaret AŞ"]),
    ("ORIENT PEARL HOLDINGS PTE. LTD.", ["Orient Pearl Holdings Private Limited", "Orientpearl Holdings"]),
    ("BANQUE DU SAHEL ATLANTIQUE S.A.", ["Banque du Sahel Atlantique", "Banque Sahel-Atlantique SA"]),
    ("SOUTHERN CROSS MINERALS (PTY) LTD", ["Southern Cross Minerals Proprietary Limited", "Southern Cross Mineral Pty"]),
    ("TIRANA STEEL WORKS SH.P.K.", ["Tirana Steelworks Shpk", "Tirana Steel Works"]),
]

# Given names and surnames for the tuning part's clean names: one culture a line.
CLEAN_GIVEN = {
    "english": "Oliver Amelia Harry Isla Jack Ava Thomas Emily James Sophie Daniel Grace Benjamin Chloe Samuel Lucy",
    "spanish": "Alejandro Lucía Pablo Carmen Diego Marta Javier Elena Andrés Paula Rafael Irene Hugo Beatriz Sergio Nuria",
    "russian": "Дмитрий Анна Иван Ольга Никита Татьяна Артур Ирина Денис Вера Глеб Юлия Олег Светлана Егор Полина",
    "arabic": "كريم هدى سامي منى رامي نادية طلال سمر بلال ريم هاني دينا وائل رنا مازن لينا",
    "chinese": "伟 芳 娜 敏 静 磊 洋 勇 艳 杰 涛 超 霞 刚 桂英 志明",
    "greek": "Λεωνίδας Ελένη Άγγελος Μαρία Φίλιππος Σοφία Στέλιος Άννα Μάρκος Ζωή Πάνος Δήμητρα Θάνος Ειρήνη Κώστας Νίκη",
    "german": "Lukas Hannah Felix Lena Jonas Klara Moritz Frieda Anton Greta Emil Ida Theodor Marlene Oskar Lotte",
    "turkish": "Emre Zeynep Burak Elif Kerem Defne Ozan Selin Tolga Ece Barış Aylin Onur Derya Serkan Gizem",
    "african": "Kwame Amara Chidi Ngozi Tendai Zola Sipho Thandiwe Kofi Abena Babajide Folake Juma Wanjiku Otieno Achieng",
    "latin_arabic": "Karim Huda Sami Mona Rami Nadia Talal Samar Bilal Reem Hani Dina Wael Rana Mazen Lina",
}
CLEAN_SURNAMES = {
    "english": "Whitaker Fenwick Ashdown Bramley Holloway Pemberton Sedgwick Thornbury Wainwright Lockhart Marlowe Penrose",
    "spanish": "Aldecoa Benavente Carballo Echeverri Figueroa Galdós Iriarte Lozano Mendizábal Olivares Quintana Salcedo",
    "russian": "Лаптев Суханов Медведков Рябинин Голубцов Орлянский Дроздов Самойленко Крапивин Воронин Тихонравов Белкин",
    "arabic": "الخوري البستاني النمر الصباغ العطار الحلبي الشامي الطرابلسي المصري الزين حمادة قباني",
    "chinese": "欧阳 孟 苏 范 贺 龚 邱 侯 白 毛 史 顾",
    "greek": "Κοντός Λιακόπουλος Μπότσαρης Νταλάρας Ραγκούσης Σκούφος Τζαννετάκης Φλωράκης Χαλκιάς Ψυχάρης Ασλανίδης Γρίβας",
    "german": "Brückner Dietrichs Engelhardt Falkenhorst Grünewald Hasselbach Kirschbaum Lindemann Nussbaum Oberhauser Reinhardt Voss",
    "turkish": "Karaca Demirtaş Yalçın Aksoy Bozkurt Çetinkaya Erdoğdu Gündüz Kılıçarslan Özdemir Sarıkaya Tekin",
    "african": "Mensah Okonkwo Moyo Dlamini Banda Adeyemi Nkrumah Kamau Odhiambo Zulu Chukwu Mwangi",
    "latin_arabic": "Khoury Boustani Nimr Sabbagh Attar Halabi Chami Trabulsi Masri Zein Hamadeh Kabbani",
}
