# %% [markdown]
# # 10. Pneumonia
#
# **Question:** a network tells X-rays with pneumonia from those without. How good is it really, where does it look, and
# what must it never be used for?
#
# Digits forgive. Here the images are files in folders, one class has about three times as many as the other, several
# images are of one patient, and one mistake is not like another. This chapter is less about the network than about not
# fooling oneself.

# %%
import inspect
import tempfile
import warnings
from pathlib import Path

import numpy as np

from numpy_resnet import data, grad_cam, layers, metrics, models, optim, plots, train
from numpy_resnet.data import transforms
from numpy_resnet.models.cifar import option_a_block

# %% [markdown]
# ## The data, or a stand-in
#
# "Chest X-Ray Images (Pneumonia)" is 5,840 images of children from one to five years of age, from one hospital in
# Guangzhou (Kermany et al. 2018, CC BY 4.0). It is two folders, `train` and `test`, and in each of them a folder for
# each class, `NORMAL` and `PNEUMONIA`; the name of a folder is the label of the files in it. Get it from Mendeley Data
# (record rscbjbr9sj) or from Kaggle (`chest-xray-pneumonia`). The environment variable `NUMPY_RESNET_DATA` names the
# folder that its folder `chest_xray` is in. Images of your own are read just so: `data.load("FOLDER")`, or `--data
# FOLDER`.
#
# Where it is missing, the chapter goes on with a stand-in of the same form: the digits of chapter 9 as image files, in
# folders `even` and `odd`. The even ones are rare, and three images in a row are from one invented "person", as the
# file names say. All text below is true of both. Where it speaks of the ill, read "odd".


# %%
def write_stand_in(folder):
    """Even and odd digits as an image folder: train/odd/person12_1.png ..."""
    digits, person = data.digits(), 0
    for part, images, most in (("train", digits.train, 240), ("test", digits.test, 108)):
        for label, name in enumerate(("even", "odd")):
            (folder / part / name).mkdir(parents=True)
            chosen = np.flatnonzero(images.labels % 2 == label)
            for k, i in enumerate(chosen[:most] if name == "even" else chosen):
                person += k % 3 == 0
                images.read(i).save(folder / part / name / f"person{person}_{k % 3}.png")


PATIENT = r"person\d+|IM-\d+"  # what in a file's name tells patients apart
scratch = tempfile.TemporaryDirectory()  # lives as long as this chapter
with warnings.catch_warnings(record=True) as notes:
    warnings.simplefilter("always")
    try:
        dataset = data.load("chest-xray", val=0.1, group=PATIENT, grey=True)
        print("THE CHEST X-RAYS\n")
    except ValueError as missing:
        print(f"THE STAND-IN: even and odd digits, no X-rays, since\n{str(missing).partition(', and put')[0]}\n")
        write_stand_in(Path(scratch.name))
        dataset = data.load(scratch.name, val=0.1, group=PATIENT, grey=True)
negative, positive = dataset.classes  # NORMAL and PNEUMONIA, or even and odd
parts = {part: getattr(dataset, part) for part in ("train", "val", "test")}
for part, images in parts.items():
    print(f"{part:<6} {np.sum(images.labels == 0):5} {negative:<8} {np.sum(images.labels == 1):5} {positive}")
for note in notes:
    print(f"\nwarning: {note.message}")

# %% [markdown]
# `val=0.1` holds a tenth of the training images out. (Kaggle's copy has a folder `val` of 16 images, too few to choose
# by; they join the training images.) What the warning says, if there is one, comes below. First look at some images of
# each class; one should always do that before anything is trained.

# %%
figure = plots.page(10, 4.1)
axes = figure.subplots(2, 5)
for label, row in enumerate(axes):
    chosen = np.flatnonzero(dataset.train.labels == label)
    for axis, i in zip(row, chosen[:: len(chosen) // 5], strict=False):
        axis.imshow(dataset.train.read(i), cmap="gray")
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(dataset.classes[label], fontsize=13)
figure

# %% [markdown]
# ## Split by patient, not by image
#
# Several images are of one child. If some of them are trained on and another is held out, the network may recognise the
# child instead of the disease, and the figure on the held-out images is too good: a *leak*. So whole patients are held
# out. Which images are of one patient only the file names say. What the pattern finds in a name is the patient; a name
# in which it finds nothing is a patient of its own:

# %%
names = ["person12_virus_3.jpeg", "person12_virus_4.jpeg", "IM-0117-0001.jpeg", "NORMAL2-IM-0117-0001.jpeg", "a.jpeg"]
for name, group in zip(names, data.groups_of(names, PATIENT), strict=True):
    print(f"{name:<28} {group}")

# %% [markdown]
# How many patients would be on both sides if images were drawn without asking who is on them?

# %%
pool = dataset.train.joined(dataset.val)
patients = np.array(data.groups_of([Path(pool.name(i)).name for i in range(len(pool))], PATIENT))
print(f"{len(pool):,} images of {len(set(patients)):,} patients")
for how, groups in (("images", None), ("patients", list(patients))):
    kept, held = data.split(pool.labels, 0.1, seed=0, groups=groups)
    both = set(patients[kept]) & set(patients[held])
    print(f"a tenth, by {how:<9} {len(held):4} images held out, {len(both):4} patients on both sides")
assert not both and not set(patients[: len(dataset.train)]) & set(patients[len(dataset.train) :])

# %% [markdown]
# On the command line it is `--group 'person\d+|IM-\d+'`. Between the X-rays' own two folders the names repeat as well:
# `IM-0117` is in both. Whether that is one child or the counting began anew, nobody says. `data.load` warned of it
# above; more cannot be done with what is known, except to say so beside the result.
#
# ## Accuracy is a poor judge
#
# A "network" that always says the more frequent class, without looking, is right this often on the test images:

# %%
ill = dataset.test.labels == 1
print(f"always {positive!r}: accuracy {ill.mean():.1%}")
print(f"{positive} found: {1:.0%}, {negative} recognised: {0:.0%}, AUC {metrics.auc(np.ones(len(ill)), ill)}")
if dataset.name == "chest-xray" and len(ill) == 624:
    assert ill.mean() == 0.625

# %% [markdown]
# So one figure is not enough. *Sensitivity* is the share of the ill that are found, *specificity* the share of the
# healthy that are told so. (AUC comes below.)
#
# In training, a loss that is a mean over images listens to the frequent class. *Class weights* make up for it: an image
# of class c counts $N / (2\,n_c)$ times, with $n_c$ the number of its images. Then both classes weigh N/2 together.
#
# ## A small run
#
# Everything here has to be done in half a minute: 500 training images of 48x48 pixels, a network of 8 layers.
# The real run is ResNet-18 on all of them at 96 pixels and takes 26 minutes; the README has its figures, accuracy 0.918
# and AUC 0.974. Keep that in mind when you read the ones below.
#
# Files are read once, their shorter side made 48 pixels long, the middle cut out. The network gets pixels minus the
# mean, divided by the standard deviation, of the *training* images: whatever is computed from test images is learnt
# from them.

# %%
small = (transforms.Resize(48), transforms.CenterCrop(48))


def shrunk(images):
    pixels = np.stack([np.asarray(transforms.apply(small, images.read(i))) for i in range(len(images))])
    return data.ArrayImages(pixels, images.labels)


few = np.sort(np.random.default_rng(0).permutation(len(dataset.train))[:500])
train_images, val_images, test_images = map(shrunk, (dataset.train.subset(few), dataset.val, dataset.test))
about = data.scan(train_images)
weights = train.balanced_weights(train_images.labels, 2)
print(f"{len(few)} training images, mean {about.mean[0]:.3f}, standard deviation {about.std[0]:.3f}")
print(f"class weights: {negative} {weights[0]:.2f}, {positive} {weights[1]:.2f}")

# %%
loading = {"mean": about.mean, "std": about.std, "workers": 1}
loader = data.Loader(train_images, (transforms.RandomCrop((48, 48), padding=4),), **loading)
val_loader, test_loader = data.Loader(val_images, **loading), data.Loader(test_images, **loading)


def new_model(seed):
    return models.CifarResNet("resnet8", option_a_block, 1, num_classes=2, in_channels=1, seed=seed)


model, epochs = new_model(0), 5
optimizer = optim.SGD(model, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
schedule = optim.one_cycle(0.05, steps=epochs * len(data.batch_starts(len(few), 32)))
options = {"epochs": epochs, "batch_size": 32, "seed": 0, "class_weight": weights}
for row in train.fit(model, optimizer, schedule, loader, val_loader, **options):
    print(f"epoch {row['epoch']}: training loss {row['train_loss']:.3f}, validation accuracy {row['val_accuracy']:.1%}")

# %% [markdown]
# The validation figure is bad, or jumps, in the first epochs. In evaluation batch norm uses running statistics (chapter
# 4), and while the learning rate is high these lag behind the weights. Where it is small again they agree.
#
# ## A threshold, and the curve of all of them
#
# The network gives a probability p of the positive class. From which p on do we say "ill"? A low *threshold* finds all
# of the ill and alarms many of the healthy; with a high one it is the other way round. The *ROC curve* has a point for
# every threshold: across, the share of the healthy that are alarmed, 1 - specificity; upwards, the share of the ill
# that are found, the sensitivity. By hand, with six people, of whom the first, second and fourth are ill:

# %%
scores, sick = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.2]), np.array([True, True, False, True, False, False])
curve = metrics.roc_curve(scores, sick)
print("p at least   of 3 ill, found   of 3 healthy, alarmed")
for threshold, found, alarmed in zip(
    curve.thresholds, curve.true_positive_rate, curve.false_positive_rate, strict=True
):
    print(f"{threshold:10g} {3 * found:17.0f} {3 * alarmed:23.0f}")

# %% [markdown]
# From one line to the next one more person is called ill. Is that person ill, the curve goes up by a third, otherwise
# to the right by a third. The area under it, the *AUC*, is the sum of the columns below the steps to the right: (2 + 3
# + 3) / 9 = 8/9.
#
# It has a meaning of its own (Mann & Whitney 1947; Hanley & McNeil 1982). Take one of the ill and one of the healthy at
# random: how often has the ill one the higher score? At each step to the right a healthy person is passed, and the
# height of the curve is the share of the ill that score above. So the area is the share of all pairs that are in the
# right order; equal scores count half. Of nine pairs here only one is in the wrong order, 0.6 below 0.7.


# %%
def share_of_pairs(scores, sick):
    difference = scores[sick][:, None] - scores[~sick][None, :]  # (ill, healthy)
    return np.mean((difference > 0) + 0.5 * (difference == 0))


print(f"pairs in the right order {share_of_pairs(scores, sick):.4f};   AUC {metrics.auc(scores, sick):.4f}")
assert np.isclose(metrics.auc(scores, sick), 8 / 9) and np.isclose(share_of_pairs(scores, sick), 8 / 9)

# %% [markdown]
# A guess has AUC 1/2, a perfect score 1. The AUC does not depend on how many are ill, nor on a threshold. A decision
# does need one. It is chosen on the *validation* images: where sensitivity + specificity is largest (Youden 1950), or
# the highest one that finds a share of the ill that somebody has asked for. Then come the test images, once.

# %%
val, result = train.evaluate(model, val_loader), train.evaluate(model, test_loader)
p, ill = result.probabilities[:, 1], result.labels == 1
print(f"AUC: validation {metrics.auc(val.probabilities[:, 1], val.labels == 1):.3f}, test {metrics.auc(p, ill):.3f}")
np.testing.assert_allclose(metrics.auc(p, ill), share_of_pairs(p, ill))
assert metrics.auc(p, ill) > 0.8
print(f"\n{'threshold':<22}{'':10}accuracy  sensitivity  specificity")
for name, wanted in (("Youden", None), ("sensitivity 0.9", 0.9), ("sensitivity 0.95", 0.95)):
    threshold = metrics.choose_threshold(val.probabilities[:, 1], val.labels == 1, sensitivity=wanted)
    for part, seen in (("validation", val), ("test", result)):
        v = train.judge(seen, 1, threshold)
        print(f"{name:<16} {threshold:.2f}  {part:<10} {v.accuracy:8.1%} {v.sensitivity:12.1%} {v.specificity:12.1%}")

# %%
threshold = metrics.choose_threshold(val.probabilities[:, 1], val.labels == 1, sensitivity=0.9)
verdict = train.judge(result, 1, threshold)
point = (threshold, verdict.sensitivity, verdict.specificity)
figure = plots.roc(metrics.roc_curve(p, ill), verdict.auc, point=point, title=f"{positive}, {len(ill)} test images")
figure

# %% [markdown]
# Validation and test do not agree. Some of that is chance: few images, and a threshold that was fitted to them. With
# the X-rays it is more. Their validation images are from the training folder, the test folder was put together
# separately, and the network is clearly worse there, most of all at recognising the healthy. In another hospital one
# has to expect at least such a fall.
#
# ## What a positive answer is worth
#
# *Precision* is the share of positive answers that are right, P(ill | positive). Let π be the share of the ill among
# those who are tested, the *prevalence*. Of all people, sensitivity · π are ill and found, and (1 - specificity) · (1 -
# π) are healthy and alarmed. So (Bayes' rule)
#
# $$ precision = \frac{sensitivity \cdot \pi}{sensitivity \cdot \pi + (1 - specificity) \cdot (1 - \pi)} $$
#
# A network with sensitivity and specificity of 95 %, which would be a good one, and 10,000 people:

# %%
print("prevalence      ill    found   false alarms   precision")
for share in (0.625, 0.1, 0.01, 0.001):
    found, alarms = 10_000 * 0.95 * share, 10_000 * 0.05 * (1 - share)
    print(f"{share:10.1%} {10_000 * share:8,.0f} {found:8,.0f} {alarms:14,.0f} {found / (found + alarms):11.1%}")

(_, alarms), (_, found) = verdict.confusion  # our network: the formula, and what was counted
right, alarmed = verdict.sensitivity * ill.mean(), (1 - verdict.specificity) * (1 - ill.mean())
print(f"our network on the test images: {right / (right + alarmed):.1%}; counted: {found} of {found + alarms}")
np.testing.assert_allclose(right / (right + alarmed), found / (found + alarms))

# %% [markdown]
# In the first line, as in the test folder, most are ill, and an alarm is nearly always right. Where one in a thousand
# is ill, nearly every alarm is false, by the same network. No figure of a data set says what an alarm is worth
# elsewhere. And p itself is not the probability of being ill: with class weights the network learns as if half of all
# people were, and networks are surer than they are right, that is badly *calibrated* (Guo et al. 2017).
#
# ## Its worst mistakes
#
# Look at them; always. The three ill ones with the lowest p, and the three healthy ones with the highest. A frame marks
# a mistake; where a threshold raises less than three false alarms, some of these are right:

# %%
worst = np.concatenate([np.flatnonzero(ill)[np.argsort(p[ill])[:3]], np.flatnonzero(~ill)[np.argsort(-p[~ill])[:3]]])
said = np.where(p >= threshold, 1, 0)[worst]
x = test_images.pixels[worst][:, None] / np.float32(255)  # (6, 1, 48, 48)
figure = plots.predictions(
    x, result.labels[worst], said, result.probabilities[worst], dataset.classes, columns=6, title="The worst six"
)
figure

# %% [markdown]
# (Below each: what was said with this threshold, and the probability of that class. It may be less than 50 %.)
#
# ## Where does it look?
#
# *Grad-CAM* (Selvaraju et al. 2017) takes the maps $A_k$ of a late layer: K of them, h x w pixels each. Backward from
# the logit of one class gives the slope of that logit by every pixel of every map. Its mean over a map says how much
# that map speaks for the class, and the heat map is the weighted sum of the maps, where it is positive:
#
# $$ \alpha_k = \frac{1}{h\,w} \sum_{i, j} \frac{\partial\, logit}{\partial A_k[i, j]}, \qquad map = \mathrm{relu}
# \Big( \sum_k \alpha_k A_k \Big) $$
#
# It costs one forward and one backward, the very ones of this course. In our network the last maps are averaged and go
# into a linear layer, so $logit = \sum_k weight[class, k] \cdot mean(A_k) + bias$, and $\alpha_k$ can be told without
# any backward: it is weight[class, k] / (h w).

# %%
for line in inspect.getsource(grad_cam.grad_cam).splitlines():  # the two formulas, in the package
    if " alpha = " in line or " maps = " in line:
        print(line.strip())
normalised = (x - about.mean[:, None, None]) / about.std[:, None, None]
dlogits = np.eye(2, dtype=np.float32)[said]  # the slope of the class's own logit is 1
model.eval()
record = {r.name: r for r in layers.trace(model, normalised, dlogits)}["layer3.0.relu2"]
(h, w), alpha = record.output.shape[2:], record.upstream.mean(axis=(2, 3))
np.testing.assert_allclose(alpha, model.fc.params["weight"][said] / (h * w), rtol=1e-4)
print(f"{record.name}: {alpha.shape[1]} maps of {h}x{w}; alpha is the last layer's weight / {h * w}")

# %% [markdown]
# Above, where the trained network looked. Below, the same for a network that was *not trained at all*:

# %%
maps, captions = [], []
for name, network in (("trained", model), ("random weights", new_model(1))):
    maps.append(grad_cam.grad_cam(network, normalised[1:5], said[1:5]).maps)
    captions += [f"{name}: for\n{dataset.classes[k]}" for k in said[1:5]]
figure = plots.heat_maps(
    np.concatenate([x[1:5]] * 2), np.concatenate(maps), captions, title="What speaks for the answer", columns=4
)
figure

# %% [markdown]
# The second row is a warning: random weights give heat maps, too, and they follow edges in the image. A map has to
# differ from those before it says anything about what was *learnt* (Adebayo et al. 2018 tested this; some methods fail,
# Grad-CAM passes). And then it says where, not what. Warm lungs do not prove that the network has understood pneumonia.
# (On the X-rays even the real run looks at the heart and the spine more than at the lungs: see the picture in the
# README.) Nor do warm corners prove that it cheats: here random weights are warm at the very border, too. They are a
# reason to ask. Cover what is there and see whether the answer changes: that is evidence.
#
# That happens. Networks take the easiest way, a *shortcut*. Zech et al. 2018 found that a network could tell nearly
# always which hospital an X-ray was from, helped, it seems, by things such as the metal letter that marks the side; and
# with the hospital how common pneumonia is there. It was good on images of the same hospitals and worse elsewhere. A
# data set from one place cannot show that.
#
# > **What this must not be used for.** Not to diagnose anybody, not to decide who is seen first, not to reassure.
# > It has seen small children of one hospital, two classes out of all there is, and images that somebody selected.
# > Nobody has tested it on patients; for that there are trials and laws. It is for learning how networks work, and how
# > they fail.
#
# **Predict, then run:**
#
# 1. The labels of all test images are shuffled. What is the AUC, roughly? Does it depend on how many are ill?
# 2. All probabilities are replaced by their squares. What happens to the AUC? Which threshold now separates the same
#    people?
# 3. Each test image is in the folder twice. What happens to accuracy and AUC, and to the "give or take" of chapter 9?
# 4. The threshold is chosen on the test images. Which figures get better, and for whom?
#
# <details><summary>Answers</summary>
#
# 1. One half, but for chance, however many are ill: in half of the pairs the one that is called ill scores higher.
# 2. It stays: the order is the same. The square of the old threshold.
# 3. Accuracy and AUC stay. The "give or take" is smaller by $\sqrt 2$, and wrongly so: nothing new was looked at.
#    Several images of one patient are a mild form of this.
# 4. Those at the threshold (accuracy, or sensitivity and specificity), on these images, in the report. For nobody else.
#
# </details>

# %% [markdown]
# ## Now you
#
# No exercise belongs to this chapter, but two tasks on the command line, for which the X-rays are needed.
#
# - The real run, 26 minutes on two cores. Ctrl-C costs nothing, `--resume` goes on. `evaluate` then looks at the test
#   images, once, and leaves the most confident mistakes beside their heat maps.
#
# ```
# numpy-resnet train --data chest-xray --group 'person\d+|IM-\d+' --grey --size 96 --zoom 0.6 --rotate 10 \
#     --jitter 0.3 --class-weights --sensitivity 0.95 --epochs 16 --val 0.1
# numpy-resnet evaluate
# ```
#
# - `numpy-resnet explain IMAGE.jpeg` for some images of yours. Then cover the letters in the corners with black in a
#   drawing program, and ask again. Does the answer change?
#
# **Next:** [Making it fast](11_making_it_fast.py): why that takes 26 minutes and not a day.
