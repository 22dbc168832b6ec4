"""Real photos that the face engines are tested on, by their paths among the real photos."""

# what facenet-pytorch is asked about: groups, large and small faces, and scenes with and without texture
REFERENCE_PHOTOS = (
    "groups/kit_with_rose.jpg",
    "groups/multiface.jpg",
    "groups/obama_and_biden.jpg",
    "groups/two_people.jpg",
    "people/kate_siegel/1.jpg",
    "people/kit_harington/john2.jpeg",
    "people/obama/obama.jpg",
    "people/shea_whigham/1.jpg",
    "scenes/japanese-shop.jpg",
    "scenes/wood_anemones.jpg",
)
