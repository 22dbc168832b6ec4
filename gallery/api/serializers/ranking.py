"""What the API gives of ranked photos and faces."""

from rest_framework import serializers

from accounts.api.inputs import InputSerializer
from gallery.api.serializers.faces import FaceSerializer
from gallery.api.serializers.photos import PhotoSerializer


class RankedPhotoSerializer(PhotoSerializer):
    """Output: a photo in a ranked list. Wants `gallery.api.ranking.in_order`."""

    distance = serializers.FloatField(
        read_only=True,
        help_text="How far it is from what was asked for: 0 is the same. By `hash` the bits that differ (0 to 11), by "
        "`embedding` and in a search by `text` the cosine distance (0 to 2).",
    )

    class Meta(PhotoSerializer.Meta):
        fields = (*PhotoSerializer.Meta.fields, "distance")
        read_only_fields = fields


class SimilarPhotosSerializer(serializers.Serializer):
    """Output: photos that look like one photo, nearest first."""

    by = serializers.ChoiceField(choices=["hash", "embedding"], help_text="What was compared.")
    model = serializers.CharField(allow_null=True, help_text="The model whose vectors were compared; null by hash.")
    results = RankedPhotoSerializer(many=True)


class RankedFaceSerializer(FaceSerializer):
    """Output: a face in a ranked list, and the photo that it is on."""

    photo = serializers.UUIDField(source="photo_id", help_text="The photo's key.")
    distance = serializers.FloatField(help_text="How far it is from the face asked for: 0 is the same.")

    class Meta(FaceSerializer.Meta):
        fields = (*FaceSerializer.Meta.fields, "photo", "distance")
        read_only_fields = fields


class RankedPersonSerializer(serializers.Serializer):
    """Output: somebody whose faces are in a ranked list."""

    id = serializers.UUIDField(source="person.pk")
    name = serializers.CharField(source="person.name", help_text="Empty until somebody gave one.")
    distance = serializers.FloatField(help_text="That of the nearest of their faces.")
    faces = serializers.IntegerField(help_text="How many of the faces in `faces` are theirs.")


class SimilarFacesSerializer(serializers.Serializer):
    """Output: the faces nearest to one, and who they are, nearest first."""

    model = serializers.CharField(help_text="The model whose vectors were compared.")
    threshold = serializers.FloatField(help_text="Within this distance two faces are taken for one person.")
    faces = RankedFaceSerializer(many=True)
    people = RankedPersonSerializer(many=True)


class FaceSearchSerializer(InputSerializer):
    """Input: a picture with a face, and where to look for it."""

    # that an empty file is refused, and with which code, is the service's to say
    file = serializers.FileField(allow_empty_file=True)
    library = serializers.UUIDField(required=False, help_text="This library alone; else all that you may search.")
    face = serializers.IntegerField(
        default=0, min_value=0, max_value=999, help_text="Which face, by its place among them: the largest is 0."
    )
    limit = serializers.IntegerField(default=50, min_value=1, max_value=100, help_text="How many faces at most.")


class PictureBoxSerializer(serializers.Serializer):
    """Output: a face's box on a picture that was sent, in fractions (0 to 1) of its upright width and height."""

    left = serializers.FloatField()
    top = serializers.FloatField()
    right = serializers.FloatField()
    bottom = serializers.FloatField()


class FoundFacesSerializer(SimilarFacesSerializer):
    """Output: the faces nearest to one on a picture."""

    boxes = PictureBoxSerializer(many=True, help_text="All faces that were found on the picture, the largest first.")
    used = serializers.IntegerField(help_text="Which of them was searched for.")
