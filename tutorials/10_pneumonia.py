# %% [markdown]
# # 10. Pneumonia
#
# **Question:** a network tells X-rays with pneumonia from those without. How good is it really, where does it look, and
# what must it never be used for?
#
# Digits forgive. Here images are in folders, one class has three times as many as the other, several images are of one
# patient, and a mistake is not just a mistake. This chapter is less about the network than about not fooling oneself.

# %%
import tempfile
import warnings
from pathlib import Path

import numpy as np

from numpy_resnet import data, grad_cam, metrics, models, optim, plots, train
from numpy_resnet.data import transforms
from numpy_resnet.models.cifar import option_a_block

rng = np.random.default_rng(0)

# %% [markdown]
# ## The data, or a stand-in
#
# "Chest X-Ray Images (Pneumonia)": children from one to five years of age, one hospital in Guangzhou (Kermany et al.
# 2018, CC BY 4.0). Two folders, `train` and `test`, and in each a folder for each class, `NORMAL` and `PNEUMONIA`. Get
# it from Mendeley Data (doi 10.17632/rscbjbr9sj.3) or from Kaggle (`chest-xray-pneumonia`), and let the environment
# variable `NUMPY_RESNET_DATA` name the folder that `chest_xray` is in.
#
# Where it is missing, this chapter goes on with a stand-in of the same form: handwritten eights and threes in folders,
# the eights rare, and three images in a row by one "person". All that follows works with both; what is printed says
# which.

# %%
scratch = tempfile.TemporaryDirectory()


def write_stand_in(folder):
    """Eights and threes as an image folder: train/eight/person12_0.png ..."""
    for part, images in (("train", data.digits().train), ("test", data.digits().test)):
        for name, digit, keep in (("eight", 8, 60), ("three", 3, 200)):
            (folder / part / name).mkdir(parents=True)
            for k, i in enumerate(np.flatnonzero(images.labels == digit)[:keep]):
                person = f"{part}{digit}{k // 3}".replace("train", "1").replace("test", "2")
                images.read(i).resize((48, 48)).save(folder / part / name / f"person{person}_{k % 3}.png")


with warnings.catch_warnings(record=True) as notes:
    warnings.simplefilter("always")
    try:
        dataset = data.load("chest-xray", grey=True)
        real = True
    except ValueError as missing:
        print(missing, end="\n\n")
        write_stand_in(Path(scratch.name))
        dataset = data.load(scratch.name, grey=True, group=r"person\d+")
        real = False
print("THE CHEST X-RAYS" if real else "THE STAND-IN: eights and threes, not X-rays")
for note in notes:
    print("warning:", note.message)
negative, positive = dataset.classes  # NORMAL and PNEUMONIA, or eight and three
for part in ("train", "val", "test"):
    labels = getattr(dataset, part).labels
    print(f"{part:<6} {np.sum(labels == 0):5} {negative:<8} {np.sum(labels == 1):5} {positive}")

# %% [markdown]
# ## Accuracy is a poor judge
#
# A "network" that always says the same, the more frequent class, is right this often on the test images:

# %%
labels = dataset.test.labels
print(f"always {positive!r}: accuracy {np.mean(labels == 1):.1%}, and not one {negative!r} is found")
if real:
    assert round(np.mean(labels == 1), 3) == 0.625

# %% [markdown]
# So two figures are needed. *Sensitivity* is the share of the positive images that are found, *specificity* the share
# of the negative ones that are told so. In the training images the classes are even less balanced. *Class weights* make
# up for that: a mistake in a class counts by N / (2 · n), n being the number of its images, so that both classes weigh
# the same.
#
# ## Split by patient
#
# Several images are of one child. If one of them is trained on and another one tested, the network may know the child
# instead of the disease. So what is split off for validation is whole patients: `group=r"person\d+|IM-\d+"` says what
# in a file's name is the patient. How many patients would be on both sides if images were split as they come?

# %%
images = dataset.train.joined(dataset.val)
names = [images.name(i) for i in range(len(images))]
patients = np.array(data.groups_of(names, r"person\d+|IM-\d+"))
for how, groups in (("images", None), ("patients", list(patients))):
    kept, held = data.split(images.labels, 0.1, seed=0, groups=groups)
    both = set(patients[kept]) & set(patients[held])
    print(f"a tenth of the {how}: {len(held)} images held out, {len(both)} patients on both sides")

# %% [markdown]
# (`IM-0117` in both folders of the X-rays need not be one child: nobody says so. `data.load` warned of it above, and
# that is all one can do.)
#
# ## A small run
#
# This has to be done in half a minute, so: at most 700 training images, 48x48 pixels, a network of 8 layers. The real
# thing is ResNet-18 at 96 pixels for 26 minutes: accuracy 0.918, AUC 0.974 on the test images; the command is at the
# end.

# %%
few = np.sort(rng.permutation(len(dataset.train))[:700])
train_images = dataset.train.subset(few)
fixed = (transforms.Resize(48), transforms.CenterCrop(48))
about = data.scan(train_images, fixed)
loading = {"mean": about.mean, "std": about.std}
varied = (transforms.RandomRotation(10), transforms.Resize(48), transforms.RandomCrop((48, 48), padding=4))
loader = data.Loader(train_images, varied, **loading)
val_loader, test_loader = data.Loader(dataset.val, fixed, **loading), data.Loader(dataset.test, fixed, **loading)

model = models.CifarResNet("resnet8", option_a_block, 1, num_classes=2, in_channels=1, seed=0)
weights = train.balanced_weights(train_images.labels, 2)
print(f"class weights: {negative} {weights[0]:.2f}, {positive} {weights[1]:.2f}")
epochs = 5
optimizer = optim.SGD(model, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
schedule = optim.one_cycle(0.05, steps=epochs * len(data.batch_starts(len(train_images), 32)))
options = {"epochs": epochs, "batch_size": 32, "seed": 0, "class_weight": weights}
history = train.fit(model, optimizer, schedule, loader, val_loader, **options)
for row in history:
    print(f"epoch {row['epoch']}: training loss {row['train_loss']:.3f}, validation accuracy {row['val_accuracy']:.1%}")

# %% [markdown]
# ## A threshold for every purpose
#
# The network gives a probability p for the positive class. From which p on do we say positive? A low threshold finds
# all the sick and frightens many of the healthy; a high one the other way round. The *ROC curve* has a point for every
# threshold: sensitivity by 1 - specificity. By hand, six scores, of which those of the first, second and fourth image
# are positive:

# %%
scores, sick = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.2]), np.array([True, True, False, True, False, False])
curve = metrics.roc_curve(scores, sick)
print("threshold   found of 3   false alarms of 3")
for threshold, found, alarms in zip(curve.thresholds, curve.true_positive_rate, curve.false_positive_rate, strict=True):
    print(f"{threshold:9g} {3 * found:12.0f} {3 * alarms:19.0f}")

# %% [markdown]
# The area under the curve, the *AUC*, has a meaning of its own: take a sick and a healthy one at random; how often has
# the sick one the higher score? (Mann & Whitney 1947.) Of the nine pairs here eight are in the right order; only 0.6
# stands below 0.7:

# %%
pairs = np.mean(scores[sick][:, None] > scores[~sick][None, :])
print(f"pairs in the right order {pairs:.4f};   AUC {metrics.auc(scores, sick):.4f}")
assert np.isclose(pairs, metrics.auc(scores, sick)) and np.isclose(pairs, 8 / 9)

# %% [markdown]
# The threshold is chosen on the *validation* images, here where nine out of ten of the sick are found. Then come the
# test images, once:

# %%
val = train.evaluate(model, val_loader)
threshold = metrics.choose_threshold(val.probabilities[:, 1], val.labels == 1, sensitivity=0.9)
result = train.evaluate(model, test_loader)
verdict = train.judge(result, 1, threshold)
print(f"AUC {verdict.auc:.3f};  at p >= {threshold:.2f}: accuracy {verdict.accuracy:.1%}, ", end="")
print(f"sensitivity {verdict.sensitivity:.1%}, specificity {verdict.specificity:.1%}")
assert verdict.auc > 0.8
point = (threshold, verdict.sensitivity, verdict.specificity)
curve = metrics.roc_curve(result.probabilities[:, 1], result.labels == 1)
figure = plots.roc(curve, verdict.auc, point=point, title=f"{positive}, {len(result.labels)} test images")
figure

# %% [markdown]
# That a sensitivity of 0.9 on the validation images is another one on the test images is normal: they are other people,
# and in this data set they were also collected otherwise.
#
# ## What a positive answer is worth
#
# Suppose a test with sensitivity and specificity of 95 %. The network says positive. How likely is the person ill? That
# depends on how many are ill among those who are tested (Bayes):
#
# $$ P(\text{ill} \mid \text{positive}) = \frac{sensitivity \cdot share}{sensitivity \cdot share + (1 - specificity)
# \cdot (1 - share)} $$

# %%
for share in (0.625, 0.1, 0.01, 0.001):
    ill = 0.95 * share / (0.95 * share + 0.05 * (1 - share))
    print(f"{share:6.1%} of those who are tested are ill:   a positive answer is right in {ill:5.1%}")

# %% [markdown]
# In the test folder six out of ten are ill, in a waiting room one out of ten, in a screening one out of a thousand.
# There, nearly all alarms are false. No figure of a data set says how a test does elsewhere. Nor are these
# probabilities: networks are surer than they should be (Guo et al. 2017).
#
# ## Mistakes, and where it looks
#
# Look at them; always. Those of which it was surest:

# %%
predicted = np.where(result.probabilities[:, 1] >= threshold, 1, 0)
wrong = np.flatnonzero(predicted != result.labels)
sure = np.abs(result.probabilities[wrong, 1] - threshold)
worst = wrong[np.argsort(-sure)][:6] if len(wrong) else np.arange(6)
x = np.concatenate([test_loader.images.subset([i]).read(0).resize((48, 48)) for i in result.indices[worst]]).reshape(
    -1, 1, 48, 48
)
figure = plots.predictions(
    x, result.labels[worst], predicted[worst], result.probabilities[worst], dataset.classes, columns=6
)
figure

# %% [markdown]
# *Grad-CAM* (Selvaraju et al. 2017) asks which places of a layer's maps A speak for a class. Backward gives the slope
# of the class's logit by every number of A; averaged over a map k it is a weight, and the map of the answer is the
# weighted sum, where it is positive:
#
# $$ \alpha_k = \frac{1}{HW} \sum_{h, w} \frac{\partial\, logit}{\partial A_k[h, w]}, \qquad map = \mathrm{relu}
# \Big( \sum_k \alpha_k A_k \Big) $$

# %%
normalised = (x / 255 - about.mean[:, None, None]) / about.std[:, None, None]
seen = grad_cam.grad_cam(model, normalised.astype(np.float32), predicted[worst], layer="layer2")
captions = [
    f"said {dataset.classes[said]},\nis {dataset.classes[truth]}"
    for said, truth in zip(predicted[worst], result.labels[worst], strict=True)
]
figure = plots.heat_maps(x, seen.maps, captions, title="Where it looked when it was wrong", columns=3)
figure

# %% [markdown]
# A heat map that lies on the lungs proves nothing. It says where, not what, and a convincing map can come from a
# network that has learned little: Adebayo et al. 2018 replaced weights by noise, and some methods' maps hardly changed
# (Grad-CAM's did). A map that lies on a letter in the corner does prove something. Zech et al. 2018 found networks that
# had learned to recognise the *hospital*, and with it how ill its patients usually are.
#
# > **What this must not be used for.** Not to diagnose anybody, not to decide who is seen first, not to reassure. It
# has seen > children of one hospital, two classes out of all there is, and images that somebody had selected. Nobody
# has tested it > on people; for that there are trials and laws. It is for learning how networks work, and how they
# fail.
#
# **Predict, then run:**
#
# 1. The labels of all test images are drawn at random. What is the AUC of any network?
# 2. All probabilities are replaced by their squares. What happens to the AUC, to the threshold, to the sensitivity at
#    the best threshold?
# 3. The threshold was chosen on the test images instead of the validation images. Which figures get better, and for
#    whom?
#
# <details><summary>Answers</summary>
#
# 1. One half, but for chance: a sick one scores higher than a healthy one in half of the pairs.
# 2. The AUC stays: the order is the same. The threshold becomes its square, and the sensitivity there is the same.
# 3. Accuracy, sensitivity or specificity, on these images, in the report. For nobody else.
#
# </details>

# %% [markdown]
# ## Now you
#
# No exercise belongs to this chapter, but two tasks on the command line. The first is the real run; a Ctrl-C costs
# nothing:
#
# ```
# numpy-resnet train --data chest-xray --group 'person\d+|IM-\d+' --grey --size 96 --zoom 0.6 --rotate 10 \
#     --jitter 0.3 --class-weights --sensitivity 0.95 --epochs 16
# numpy-resnet evaluate
# ```
#
# The second: `numpy-resnet explain IMAGE.jpeg` for a few of its mistakes. What do you see in the corners?
#
# **Next:** [Making it fast](11_making_it_fast.py): why it takes 26 minutes and not a day.
